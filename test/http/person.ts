import type { Api, Reply } from './api.js';

/** The `Authorization` header of these Basic credentials. */
export function basic(name: string, password: string): { Authorization: string } {
  return { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

export const bearer = (token: string): { Authorization: string } => ({ Authorization: `Bearer ${token}` });

/** Somebody who asks with credentials. */
export class Person {
  readonly name: string;
  readonly credentials: { Authorization: string };
  readonly #api: Api;

  /** Registers `name`, with the password `secret`. */
  static async register(api: Api, name: string): Promise<Person> {
    await api.users.register(name, 'secret');
    return new Person(api, name, basic(name, 'secret'));
  }

  constructor(api: Api, name: string, credentials: { Authorization: string }) {
    this.#api = api;
    this.name = name;
    this.credentials = credentials;
  }

  async send(method: string, path: string, body?: RequestInit['body'], headers = {}): Promise<Reply> {
    return await this.#api.send(method, path, body, { ...this.credentials, ...headers });
  }

  async get(path: string): Promise<Reply> {
    return await this.send('GET', path);
  }

  async post(path: string, value: unknown): Promise<Reply> {
    return await this.send('POST', path, JSON.stringify(value));
  }

  async registerImage(functionName: string): Promise<Reply> {
    return await this.post('/registerFunction', { functionName, image: `example/${functionName}` });
  }

  async upload(name: string, module: Uint8Array): Promise<Reply> {
    const form = new FormData();
    form.set('module', new Blob([module]), 'module.bin');
    return await this.send('POST', `/registerFunction/pythonruntime/${name}`, form);
  }
}
