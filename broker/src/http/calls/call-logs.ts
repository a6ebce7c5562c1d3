import { StringDecoder } from 'node:string_decoder';
import { routes } from '@panal/api';
import type { CallRecord } from '@panal/db';
import { PanalError } from '@panal/protocol';
import type { LogFollower } from '../../calls/log-followers.js';
import type { Holding } from '../memory/byte-budget.js';
import type { Context } from '../routing/context.js';
import { EventStream } from './event-stream.js';
import { logsSoFar } from './logs-so-far.js';
import { route, type Route } from '../routing/route.js';
import type { Services } from '../services.js';

export const callLogRoutes = ({ calls, memory }: Pick<Services, 'calls' | 'memory'>): Route[] => [
  route(routes.callLogs, async (ctx, { params: { callNum }, query: { follow } }) => {
    const { owner } = ctx.state;
    if (follow === '1' || (follow === undefined && ctx.get('Accept').includes('text/event-stream'))) {
      const leave = memory.waiting.enter(owner);
      const hold = (drop: () => void): Holding => memory.answers.open(owner, drop);
      const events = new EventStream({ hold, socket: ctx.req.socket });
      events.once('close', leave);
      try {
        const stop = await calls.follow(owner, callNum, new EventFollower(events));
        events.once('close', stop);
        if (events.destroyed) stop();
      } catch (error) {
        events.destroy();
        throw error;
      }
      answerEvents(ctx, events);
      return;
    }
    await memory.readings.run(owner, async () => {
      const call = await calls.get(owner, callNum);
      if (call === undefined) throw new PanalError('CALL_NOT_FOUND', `there is no call ${callNum}`);
      const logs = call.status === 'RUNNING' ? await logsSoFar(calls, call) : call.logs;
      ctx.type = 'text/plain; charset=utf-8';
      ctx.set('X-Content-Type-Options', 'nosniff');
      ctx.body = Buffer.from(logs ?? []);
    });
  }),
];

function answerEvents(ctx: Context, events: EventStream): void {
  ctx.type = 'text/event-stream';
  ctx.set('Cache-Control', 'no-cache');
  // Asks nginx, and those who do as it does, to pass on each event as it comes.
  ctx.set('X-Accel-Buffering', 'no');
  ctx.body = events;
  const { socket } = ctx.req;
  const probe = (): void => events.probe();
  if (socket.readableEnded) probe();
  else socket.once('end', probe);
  events.once('close', () => socket.off('end', probe));
}

/** Tells of a call's logs as events. What is not UTF-8 in them shows as U+FFFD, as in the call itself. */
class EventFollower implements LogFollower {
  readonly #events: EventStream;
  // Pieces may begin and end in the midst of a character.
  #decoder = new StringDecoder('utf8');

  constructor(events: EventStream) {
    this.#events = events;
  }

  attempt(number: number): void {
    this.#log(this.#decoder.end());
    this.#decoder = new StringDecoder('utf8');
    this.#events.send('attempt', { attempt: number });
  }

  piece(bytes: Uint8Array): void {
    this.#log(this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
  }

  end({ callNum, status }: CallRecord): void {
    this.#log(this.#decoder.end());
    this.#events.send('end', { callNum, status });
    this.#events.end();
  }

  #log(text: string): void {
    if (text !== '') this.#events.send('log', text);
  }
}
