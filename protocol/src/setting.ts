import { isIP } from 'node:net';
import { EXIT_CONFIG, StartRefusal } from './start-refusal.js';

/** Which process reads a setting. `test` ones are read by the test run and ignored by the others. */
export type Reader = 'broker' | 'worker' | 'both' | 'up' | 'test';

/** One environment variable: who reads it, what it means, and how its text becomes a value. */
export interface Setting<T> {
  reader: Reader;
  /** As the README's table says it. */
  meaning: string;
  /** The default as people read it. */
  shown: string;
  parse: (text: string | undefined) => T;
}

/** A variable that is unknown or ill-formed. Its message names the variable and is all a user needs to see. */
export class ConfigError extends StartRefusal {
  override readonly exitCode = EXIT_CONFIG;

  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

/** Thrown by a parser; the reader of the environment adds the variable's name. */
export class BadValue extends Error {}

type Describe = [reader: Reader, meaning: string];

export function setting<T>(
  [reader, meaning]: Describe,
  shown: string,
  fallback: () => T,
  parse: (text: string) => T,
): Setting<T> {
  return {
    reader,
    meaning,
    shown,
    parse: (text) => (text === undefined || text === '' ? fallback() : parse(text)),
  };
}

export function integer(about: Describe, fallback: number, min: number, max: number): Setting<number> {
  return setting(about, String(fallback), () => fallback, wholeNumber(min, max));
}

/** @param shown what holds if it is not set */
export function optionalInteger(
  about: Describe,
  shown: string,
  min: number,
  max: number,
): Setting<number | undefined> {
  return setting<number | undefined>(about, shown, () => undefined, wholeNumber(min, max));
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new BadValue(`must be a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

export function oneOf<const T extends string>(
  about: Describe,
  values: readonly T[],
  fallback: NoInfer<T>,
): Setting<T> {
  return setting<T>(
    about,
    fallback,
    () => fallback,
    (text) => {
      const value = values.find((each) => each === text);
      if (value === undefined) throw new BadValue(`must be one of ${values.join(', ')}`);
      return value;
    },
  );
}

export function text(
  about: Describe,
  fallback: string,
  pattern = /^[^\0]*$/,
  form = 'text',
): Setting<string> {
  return setting(
    about,
    fallback,
    () => fallback,
    (value) => {
      if (!pattern.test(value)) throw new BadValue(`must be ${form}`);
      return value;
    },
  );
}

export function optional(about: Describe, pattern: RegExp, form: string): Setting<string | undefined> {
  return setting<string | undefined>(
    about,
    '',
    () => undefined,
    (value) => {
      if (!pattern.test(value)) throw new BadValue(`must be ${form}`);
      return value;
    },
  );
}

/** The addresses whose first `prefix` bits are those of `address`. */
export interface NetworkRange {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** Reads `10.0.0.1` or `10.0.0.0/8`, of IPv4 or IPv6. */
export function networkRange(text: string): NetworkRange {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const length = prefix === undefined ? bits : Number(prefix);
  if (version === 0 || rest.length > 0 || !/^\d+$/.test(prefix ?? '0') || length > bits) {
    throw new BadValue('must be addresses or networks, such as 10.0.0.1 or 10.0.0.0/8, apart by commas');
  }
  return { address, prefix: length, family: version === 6 ? 'ipv6' : 'ipv4' };
}

/** Numbers of users of a machine. */
export interface UidRange {
  first: number;
  last: number;
}

/** Reads `200000-265535`; neither root nor the number that the kernel takes for none is among them. */
export function uidRange(text: string): UidRange {
  const [, first, last] = (/^(\d{1,10})-(\d{1,10})$/.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined || first < 1 || last < first || last > 4_294_967_294) {
    throw new BadValue('must be two numbers from 1 to 4294967294, such as 200000-265535');
  }
  return { first, last };
}

/** Reads a host name, or `*.` and a domain, which stands for every name below it. */
export function hostPattern(text: string): string {
  if (!/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)) {
    throw new BadValue('must be host names, such as packages.example.org or *.example.org, apart by commas');
  }
  return text.toLowerCase();
}
