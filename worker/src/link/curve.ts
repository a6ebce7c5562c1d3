import { ConfigError, type Config } from '@panal/protocol';

/** Options of a ZeroMQ socket that speaks CURVE (ZeroMQ RFC 26) as a client. */
export interface CurveKeys {
  curveServerKey: string;
  curvePublicKey: string;
  curveSecretKey: string;
}

/**
 * The keys of this worker's sockets; `undefined` where no key is set.
 * @throws ConfigError where only some are: the channels would be neither open nor safe.
 */
export function curveKeys(config: Config): CurveKeys | undefined {
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
