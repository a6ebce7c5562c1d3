import { z } from 'zod';
import { bundleRequestSchema } from './messages.js';

/** bundle, worker → broker: may I make what goes by this name? It is mine for `ms`, and longer where I ask again. */
const claim = z.object({
  type: z.literal('claim'),
  name: z.string().min(1).max(1024),
  holder: z.string().min(1).max(128),
  ms: z.int().min(1).max(600_000),
});

/** bundle, worker → broker: it is made, or will not be. */
const release = z.object({
  type: z.literal('release'),
  name: z.string().min(1).max(1024),
  holder: z.string().min(1).max(128),
});

/** bundle, broker → worker: it is yours, or another's. */
export const claimReplySchema = z.object({
  type: z.literal('claimed'),
  name: z.string(),
  granted: z.boolean(),
});

/** All that a broker hears on the bundle channel. */
export const bundleChannelSchema = z.discriminatedUnion('type', [bundleRequestSchema, claim, release]);

export type Claim = z.infer<typeof claim>;
export type Release = z.infer<typeof release>;
export type ClaimReply = z.infer<typeof claimReplySchema>;
