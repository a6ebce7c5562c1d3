import { storedCallFields } from '@panal/api';
import { ERROR_STATUS, INPUT_KINDS, type ErrorCode } from '@panal/protocol';
import { z } from 'zod';

const errorCode = z.custom<ErrorCode>(
  (code) => typeof code === 'string' && Object.hasOwn(ERROR_STATUS, code),
);

/** The record of a call without its bytes. */
export const callHeadSchema = z.object({
  ...storedCallFields,
  /** `FunctionSpec.id` of the version it was accepted with. */
  functionId: z.string(),
  input: z.enum(INPUT_KINDS),
  /** Epoch ms. */
  acceptedAt: z.number(),
  /** When it was last put back after it was `DEAD` (epoch ms), and how many attempts it had had by then. */
  putBack: z.object({ at: z.number(), attempts: z.int() }).optional(),
  /** Its owner was told that it is being stopped. */
  cancelling: z.boolean().optional(),
  /** Epoch ms before which no attempt starts (back-off). */
  notBefore: z.number().optional(),
  settledAt: z.number().optional(),
  error: z.object({ code: errorCode, message: z.string() }).optional(),
  /** Sizes, in bytes, of the parts that the store keeps apart from the record, which has only their beginning or nothing. */
  apart: z
    .object({ params: z.int().optional(), result: z.int().optional(), logs: z.int().optional() })
    .optional(),
});
export type CallHead = z.infer<typeof callHeadSchema>;
