import * as zmq from 'zeromq';
import { ConfigError, type Config } from '@panal/protocol';
import { received } from './received.js';

/** The broker's CURVE keys (ZeroMQ RFC 26), Z85. */
export interface BrokerKeys {
  secretKey: string;
  publicKey: string;
  /** The one key that workers must have; without it any worker that knows the broker's public key is let in. */
  clientKey: string | undefined;
}

const ZAP_ADDRESS = 'inproc://zeromq.zap.01';

/** A connection whose handshake takes longer than so many ms is closed: it costs a file descriptor. */
const HANDSHAKE_MS = 10_000;

/** A worker's CURVE keys, as ZeroMQ's options of a client socket name them, Z85. */
export interface WorkerKeys {
  curveServerKey: string;
  curvePublicKey: string;
  curveSecretKey: string;
}

/**
 * The broker's keys of the settings; `undefined` if none is set, and channels are not encrypted.
 * @throws ConfigError if only some are set: the channels would be open, against what was meant.
 */
export function brokerKeys(config: Config): BrokerKeys | undefined {
  const {
    FAAS_CURVE_SERVER_SECRET: secretKey,
    FAAS_CURVE_SERVER_PUBLIC: publicKey,
    FAAS_CURVE_CLIENT_PUBLIC: clientKey,
  } = config;
  if (secretKey !== undefined && publicKey !== undefined) return { secretKey, publicKey, clientKey };
  if (secretKey === undefined && publicKey === undefined && clientKey === undefined) return undefined;
  throw new ConfigError('FAAS_CURVE_SERVER_SECRET and FAAS_CURVE_SERVER_PUBLIC must be set together');
}

/**
 * A worker's keys of the settings; `undefined` if none is set.
 * @throws ConfigError if only some are set: the channels would be neither open nor safe.
 */
export function workerKeys(config: Config): WorkerKeys | undefined {
  const {
    FAAS_CURVE_SERVER_PUBLIC: curveServerKey,
    FAAS_CURVE_CLIENT_PUBLIC: curvePublicKey,
    FAAS_CURVE_CLIENT_SECRET: curveSecretKey,
  } = config;
  if (curveServerKey !== undefined && curvePublicKey !== undefined && curveSecretKey !== undefined) {
    return { curveServerKey, curvePublicKey, curveSecretKey };
  }
  if (curveServerKey === undefined && curvePublicKey === undefined && curveSecretKey === undefined) {
    return undefined;
  }
  throw new ConfigError(
    'FAAS_CURVE_SERVER_PUBLIC, FAAS_CURVE_CLIENT_PUBLIC and FAAS_CURVE_CLIENT_SECRET must be set together',
  );
}

/** Socket options of a socket that workers connect to; with keys it is the CURVE server of its connections. */
export function serverOptions(keys: BrokerKeys | undefined): zmq.SocketOptions<zmq.Router> {
  const common = { handshakeInterval: HANDSHAKE_MS };
  if (keys === undefined) return common;
  return { ...common, curveServer: true, curveSecretKey: keys.secretKey, curvePublicKey: keys.publicKey };
}

/**
 * Answers ZeroMQ when it asks whether a peer may connect (ZAP, ZeroMQ RFC 27): yes for the one client key, no for
 * all others. Must be started before the sockets it guards are bound.
 */
export class KeyGuard {
  readonly #keys: BrokerKeys;
  readonly #socket = new zmq.Router();
  #loop: Promise<void> | undefined;

  constructor(keys: BrokerKeys) {
    this.#keys = keys;
  }

  async start(): Promise<void> {
    await this.#socket.bind(ZAP_ADDRESS);
    this.#loop = this.#answer();
  }

  async stop(): Promise<void> {
    this.#socket.close();
    await this.#loop;
  }

  async #answer(): Promise<void> {
    for await (const frames of received(this.#socket)) {
      // identity, delimiter, version, request id, domain, address, identity, mechanism, key
      const [peer, , version, requestId, , , , mechanism, key] = frames;
      if (peer === undefined || version === undefined || requestId === undefined) continue;
      const known = mechanism?.toString() === 'CURVE' && this.#allows(key);
      const [status, text] = known ? ['200', 'OK'] : ['400', 'unknown key'];
      await this.#socket.send([peer, '', version, requestId, status, text, known ? 'worker' : '', '']);
    }
  }

  #allows(key: Buffer | undefined): boolean {
    return key !== undefined && (this.#keys.clientKey === undefined || z85(key) === this.#keys.clientKey);
  }
}

const Z85_DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Bytes as text: each 4 bytes as 5 base-85 digits (ZeroMQ RFC 32). */
function z85(bytes: Buffer): string {
  let text = '';
  for (let offset = 0; offset + 4 <= bytes.length; offset += 4) {
    const value = bytes.readUInt32BE(offset);
    for (let power = 85 ** 4; power >= 1; power /= 85) {
      text += Z85_DIGITS[Math.floor(value / power) % 85] ?? '';
    }
  }
  return text;
}
