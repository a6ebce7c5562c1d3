/** Gets what preparing a function puts out, as it comes: a line for each long step, and the output of its tools. */
export type OnOutput = (piece: Uint8Array) => void;

/** Says in one line which step begins. */
export function announce(onOutput: OnOutput | undefined, step: string): void {
  onOutput?.(Buffer.from(`panal: ${step}\n`));
}
