import { Client, clusterUrl } from './client.js';
import { ConfigFile, type Login } from './config-file.js';
import { misuse } from './failure.js';
import { Output } from './output.js';
import type { Shell } from './shell.js';

/** Options that every verb takes. */
export interface GlobalOptions {
  url?: string;
  user?: string;
  password?: string;
  json?: boolean;
  debug?: boolean;
}

const DEFAULT_URL = 'http://127.0.0.1:3000';

/** One run of a verb: where it reads and writes, and the cluster it talks to. */
export class Session {
  readonly shell: Shell;
  readonly options: GlobalOptions;
  readonly configFile: ConfigFile;
  #client: Client | undefined;
  #output: Output | undefined;

  constructor(shell: Shell, options: GlobalOptions) {
    this.shell = shell;
    this.options = options;
    this.configFile = new ConfigFile(shell.env);
  }

  get output(): Output {
    this.#output ??= new Output(this.shell, this.options.json === true);
    return this.#output;
  }

  /** The address in the options, in `PANAL_URL`, or of the login; else of a cluster on this machine. */
  get url(): string {
    return this.givenUrl ?? this.configFile.read()?.url ?? DEFAULT_URL;
  }

  /** The address in the options or in `PANAL_URL`. */
  get givenUrl(): string | undefined {
    return [this.options.url, this.shell.env.PANAL_URL].find((url) => url !== undefined && url !== '');
  }

  /** The cluster, with the credentials there are for it. @throws Failure */
  get client(): Client {
    this.#client ??= new Client({ url: this.url, authorization: this.#authorization() });
    return this.#client;
  }

  /** Whether the cluster is told who asks. */
  get hasCredentials(): boolean {
    return this.#authorization() !== undefined;
  }

  close(): void {
    this.#client?.close();
  }

  #authorization(): string | undefined {
    const { user, password } = this.options;
    if (user !== undefined || password !== undefined) {
      if (user === undefined || password === undefined) throw misuse('give --user and --password together');
      return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    }
    const token = this.shell.env.PANAL_TOKEN ?? '';
    if (token !== '') return `Bearer ${token}`;
    const login = this.configFile.read();
    return login !== undefined && this.#isFor(login) ? `Bearer ${login.token}` : undefined;
  }

  /** A token goes to the cluster that gave it, and to no other. */
  #isFor(login: Login): boolean {
    return clusterUrl(this.url) === clusterUrl(login.url);
  }
}
