import { baseUrl, Panal, type Credentials, type Fetch } from '@panal/client';
import { misuse } from './failure.js';

export interface ClusterOptions {
  /** Address of the cluster, such as `http://127.0.0.1:3000`; a path is kept as a prefix. */
  url: string;
  credentials?: Credentials | undefined;
  /** The global `fetch` by default, which gives up after five minutes without an answer. */
  fetch?: Fetch;
}

/** A client of the cluster at this address. @throws Failure if `url` is not the address of a cluster */
export const openCluster = ({ url, ...options }: ClusterOptions): Panal =>
  // A user who waits at a terminal sees at once that no cluster runs.
  new Panal({ ...options, url: clusterUrl(url), retries: 0 });

/** An address in its one normal form, without a slash at its end. @throws Failure if it is not one of a cluster */
export function clusterUrl(text: string): string {
  try {
    return baseUrl(text);
  } catch {
    throw misuse(
      `${JSON.stringify(text)} is no address of a cluster`,
      'give one such as http://127.0.0.1:3000',
    );
  }
}

/** All entries of a list. */
export async function all<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

/** A `fetch` over connections of its own, which waits for an answer for as long as it takes. */
export class PatientFetch {
  readonly fetch: Fetch;
  readonly #agent: { close: () => Promise<void> };

  private constructor(fetch: Fetch, agent: { close: () => Promise<void> }) {
    this.fetch = fetch;
    this.#agent = agent;
  }

  /** @param connections most connections at once; default: no limit */
  static async open(connections: number | null = null): Promise<PatientFetch> {
    // Loaded here, because most verbs do without and start sooner.
    const { Agent } = await import('undici');
    const dispatcher = new Agent({ connections, headersTimeout: 0, bodyTimeout: 0 });
    return new PatientFetch((url, init) => fetch(url, Object.assign({}, init, { dispatcher })), dispatcher);
  }

  /** Closes the connections once their requests have ended. */
  async close(): Promise<void> {
    await this.#agent.close();
  }
}
