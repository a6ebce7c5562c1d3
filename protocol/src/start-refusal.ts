/** The exit code of a process that cannot run with its settings: starting it again would not help. */
export const EXIT_CONFIG = 2;

/**
 * A process cannot run here, and starting it again does not help before somebody mends that. The message is one line,
 * and all that a user needs to see.
 */
export class StartRefusal extends Error {
  /** What the process ends with. */
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartRefusal';
  }
}

/** What a process says to its parent, over the channel that `fork` opens, before it ends by a `StartRefusal`. */
export const REFUSAL_MESSAGE = { refused: true } as const;

/** Says on stderr why the process `name` cannot start, and tells its parent not to start it again. */
export async function sayRefusal(name: string, { message, exitCode }: StartRefusal): Promise<number> {
  console.error(`${name}: ${message}`);
  await new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(REFUSAL_MESSAGE, () => resolve());
  });
  return exitCode;
}
