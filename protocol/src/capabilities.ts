import { contractNameOf, CONTRACTS, type FunctionSpec } from './function.js';

/**
 * What one worker can do and another may not. `containers`: its sandboxes are containers.
 * `images`: it runs functions that are images. `prepare`: it prepares a
 * function without running it. Each contract: it speaks calls that way.
 */
export const CAPABILITIES = ['containers', 'images', 'prepare', ...CONTRACTS] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** How many of the connected workers have a capability; `undefined` while no worker is connected. */
export type Support = 'all' | 'some' | 'none' | undefined;

/** Whether a worker must have the capability to run the version. */
export function requires(spec: FunctionSpec, capability: Capability): boolean {
  return capability === 'images' ? spec.kind === 'image' : capability === contractNameOf(spec);
}

/** What a worker says of itself when it connects. */
interface Introduction {
  readonly capabilities?: readonly string[] | undefined;
  readonly sandbox: string;
  readonly prepares?: boolean | undefined;
}

/** What the worker can do, as it says; for one of a version that says nothing, what is known of that version. */
export function capabilitiesOf(hello: Introduction): ReadonlySet<string> {
  if (hello.capabilities !== undefined) return new Set(hello.capabilities);
  const derived: Capability[] = [...CONTRACTS];
  if (hello.sandbox === 'docker') derived.push('containers', 'images');
  if (hello.prepares === true) derived.push('prepare');
  return new Set(derived);
}
