import type { Credentials, Panal } from '@panal/client';
import { clusterUrl, openCluster, PatientFetch } from './cluster.js';
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
  #client: Panal | undefined;
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
  get client(): Panal {
    this.#client ??= openCluster({ url: this.url, credentials: this.#credentials() });
    return this.#client;
  }

  /** Does something with a client that waits for an answer for as long as it takes. */
  async withPatience<T>(use: (client: Panal) => Promise<T>, connections?: number): Promise<T> {
    const { url } = this;
    const patient = await PatientFetch.open(connections);
    try {
      return await use(openCluster({ url, credentials: this.#credentials(), fetch: patient.fetch }));
    } finally {
      await patient.close();
    }
  }

  /** Whether the cluster is told who asks. */
  get hasCredentials(): boolean {
    return this.#credentials() !== undefined;
  }

  #credentials(): Credentials | undefined {
    const { user, password } = this.options;
    if (user !== undefined || password !== undefined) {
      if (user === undefined || password === undefined) throw misuse('give --user and --password together');
      return { user, password };
    }
    const token = this.shell.env.PANAL_TOKEN ?? '';
    if (token !== '') return { token };
    const login = this.configFile.read();
    return login !== undefined && this.#isFor(login) ? { token: login.token } : undefined;
  }

  /** A token goes to the cluster that gave it, and to no other. */
  #isFor(login: Login): boolean {
    return clusterUrl(this.url) === clusterUrl(login.url);
  }
}
