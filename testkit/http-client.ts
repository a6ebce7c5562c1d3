import { eventually } from './wait.js';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
}

/** Talks to a broker as curl does. */
export class HttpClient {
  readonly url: string;
  /** Of every request. */
  headers: Record<string, string> = {};

  constructor(url: string) {
    this.url = url;
  }

  async request(method: string, path: string, body?: string | FormData): Promise<Answer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: this.headers,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    let json: Record<string, unknown> = {};
    if (response.headers.get('content-type')?.includes('json') === true) {
      json = JSON.parse(text) as Record<string, unknown>;
    }
    return { status: response.status, headers: response.headers, text, json };
  }

  async post(path: string, body: unknown): Promise<Answer> {
    return await this.request('POST', path, JSON.stringify(body));
  }

  /** Uploads a bundle as `curl -F module=@FILE` does. */
  async upload(
    path: string,
    archive: Uint8Array,
    fileName: string,
    fields: Record<string, string> = {},
  ): Promise<Answer> {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    form.set('module', new Blob([new Uint8Array(archive)]), fileName);
    return await this.request('POST', path, form);
  }

  /** Polls a call until it is settled. */
  async settled(callNum: unknown, ms = 120_000): Promise<Record<string, unknown>> {
    return await eventually(
      `call ${String(callNum)} settles`,
      async () => {
        const { json } = await this.request('GET', `/call/${String(callNum)}`);
        return json.status !== 'PENDING' && json.status !== 'RUNNING' ? json : undefined;
      },
      ms,
    );
  }
}
