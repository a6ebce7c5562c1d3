import { EventSourceParserStream } from 'eventsource-parser/stream';

/** A client that follows server-sent events, and notes them as `NAME DATA`. */
export class EventReader {
  readonly events: string[] = [];
  readonly #abort = new AbortController();
  /** Resolves when the stream has ended, or was left. */
  readonly ended: Promise<void>;

  constructor(url: string) {
    this.ended = this.#read(url).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) throw error;
    });
  }

  /** Goes away. */
  leave(): void {
    this.#abort.abort();
  }

  async #read(url: string): Promise<void> {
    const headers = { Accept: 'text/event-stream' };
    const response = await fetch(url, { headers, signal: this.#abort.signal });
    if (response.body === null || !response.ok) throw new Error(`${url}: ${response.status}`);
    const messages = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { event, data } of messages) this.events.push(`${event ?? 'message'} ${data}`);
  }
}
