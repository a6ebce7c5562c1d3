import { z } from 'zod';
import { claimReplySchema } from '../claims.js';
import { decode, MalformedMessage, type Envelope } from '../codec.js';
import { bundleReplySchema, orderSchemas, welcomeSchema } from '../messages.js';

const port = z.int().min(1).max(65535);

/** Over ZeroMQ a welcome names the ports of the other two channels; they are on the host of the dispatch channel. */
const zmqWelcomeSchema = welcomeSchema.extend({ replyPort: port, bundlePort: port });

/** What a broker says on the dispatch channel. */
export const zmqBrokerMessageSchema = z.discriminatedUnion('type', [zmqWelcomeSchema, ...orderSchemas]);

/** What a broker says on the bundle channel. */
export const answerSchema = z.discriminatedUnion('type', [bundleReplySchema, claimReplySchema]);

export type ZmqWelcome = z.infer<typeof zmqWelcomeSchema>;
export type ZmqBrokerMessage = z.infer<typeof zmqBrokerMessageSchema>;

/** Reads frames; garbage gives nothing, and `onGarbage` has the reason. */
export function read<M>(
  frames: readonly Buffer[],
  schema: z.ZodType<M>,
  onGarbage: (reason: string) => void,
): Envelope<M>[] {
  try {
    return decode(frames, schema);
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    onGarbage(error.message);
    return [];
  }
}
