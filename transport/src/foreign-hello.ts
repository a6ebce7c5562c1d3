import { z } from 'zod';
import { PROTOCOL_VERSION } from './messages.js';

/** What of a hello is the same in every version of the protocol, so that each can tell the other that it is another. */
const anyHello = z.object({
  type: z.literal('hello'),
  protocol: z.int(),
  worker: z.string().max(128).catch('unknown'),
});

const batch = z.array(z.unknown()).min(1);

/** A hello in frames that are none of this version: which version its worker speaks. */
export function foreignHello(frames: readonly Buffer[]): { worker: string; protocol: number } | undefined {
  const [head] = frames;
  if (head === undefined) return undefined;
  try {
    for (const message of batch.parse(JSON.parse(head.toString()))) {
      const hello = anyHello.safeParse(message);
      if (hello.success && hello.data.protocol !== PROTOCOL_VERSION) return hello.data;
    }
  } catch {
    // Not even JSON: it is nobody's hello.
  }
  return undefined;
}
