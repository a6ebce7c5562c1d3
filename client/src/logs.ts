import { logEvents, routes, type CallStatus } from '@panal/api';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { UnexpectedAnswerError, jsonOf } from './errors.js';
import type { Http, RequestOptions } from './http.js';

/** One event of the live logs of a call. */
export type LogEvent =
  /** A piece of the logs of the current attempt. */
  | { type: 'log'; text: string }
  /** An attempt begins, and its logs anew. */
  | { type: 'attempt'; attempt: number }
  /** The call ended. No event follows. */
  | { type: 'end'; callNum: number; status: CallStatus };

/** The logs of a call from their beginning to its end, as they come. @throws ApiError CALL_NOT_FOUND */
export async function* liveLogs(
  http: Http,
  callNum: number,
  { signal }: RequestOptions,
): AsyncGenerator<LogEvent, void, undefined> {
  const headers = { Accept: 'text/event-stream' };
  const pieces = await http.stream(routes.callLogs, { params: { callNum }, headers, signal });
  for await (const message of messagesOf(pieces)) {
    const event = eventOf(message);
    if (event === 'malformed') throw new UnexpectedAnswerError(http.url, 200);
    if (event !== undefined) yield event;
  }
}

/** Reads server-sent events (HTML Living Standard, 9.2). An event that is cut off is left out. */
async function* messagesOf(
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  let messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  const decoder = new TextDecoder();
  for await (const piece of pieces) {
    parser.feed(decoder.decode(piece, { stream: true }));
    const read = messages;
    messages = [];
    yield* read;
  }
}

/** The event of a message; `undefined` for one that only a newer broker knows. */
function eventOf({ event, data }: EventSourceMessage): LogEvent | undefined | 'malformed' {
  const value = jsonOf(data);
  if (event === 'log') {
    const text = logEvents.log.safeParse(value).data;
    return text === undefined ? 'malformed' : { type: 'log', text };
  }
  if (event !== 'attempt' && event !== 'end') return undefined;
  if (event === 'attempt') {
    const attempt = logEvents.attempt.safeParse(value).data;
    return attempt === undefined ? 'malformed' : { type: 'attempt', ...attempt };
  }
  const end = logEvents.end.safeParse(value).data;
  return end === undefined ? 'malformed' : { type: 'end', ...end };
}
