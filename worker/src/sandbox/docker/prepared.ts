import type { FunctionSpec } from '@panal/protocol';
import type { Image } from '../../images/image.js';
import type { Origin } from '../../images/images.js';
import { handlerCommand, runCommand, unlessRefused } from '../../contracts/command/run-command.js';
import { FunctionError } from '../../errors.js';
import type { Prepared, RunRequest, RunResult } from '../sandbox.js';

/** A function whose image is there, or its runtime's image and its code. */
export class DockerPrepared implements Prepared {
  readonly spec: FunctionSpec;
  readonly image: Image;
  /** Folder with the code, to be copied for each sandbox; `undefined` where the image has it. */
  readonly code: string | undefined;

  constructor(spec: FunctionSpec, { image, code }: Origin) {
    this.spec = spec;
    this.image = image;
    this.code = code;
  }

  /** A blank has nothing but what the runtime's image has, and speaks to the agent; and a network cannot be put in. */
  get blanks(): string | undefined {
    if (this.code === undefined || this.cwd === undefined) return undefined;
    const { lifecycle, network } = this.spec.settings;
    return lifecycle === 'hot' || network !== 'none' ? undefined : `${this.image.id} ${this.cwd}`;
  }

  /** What a blank starts from that may become a sandbox of this function: all that is the function's own is left out. */
  blank(): DockerPrepared {
    const { settings } = this.spec;
    const spec = { ...this.spec, id: '', owner: '', name: 'blank', settings: { ...settings, env: {} } };
    return new DockerPrepared(spec, { image: this.image, code: undefined });
  }

  get memoryMb(): number {
    return this.spec.settings.memoryMb;
  }

  /** Folder in which the function's commands run; `undefined`: the one that the image names. */
  get cwd(): string | undefined {
    return this.spec.kind === 'runtime' ? this.spec.runtime.path : undefined;
  }

  /**
   * The command of a call: the image's own with the parameter as its last argument, or the runtime's.
   * @throws FunctionError `START_FAILED` where the image names no command
   */
  command({ argument, command: instead }: RunRequest): string[] {
    if (instead !== undefined) return instead;
    if (this.spec.kind === 'runtime') return runCommand(this.spec.runtime.run, argument);
    const command = [...this.image.entrypoint, ...this.image.cmd];
    if (command.length === 0) {
      throw new FunctionError('START_FAILED', 'the image has neither an entrypoint nor a command');
    }
    return argument === undefined ? command : [...command, argument];
  }

  /** The result of `argv`; a failed start if a shell could not start the runtime's command. */
  told(argv: readonly string[], result: RunResult): RunResult {
    return this.spec.kind === 'runtime' ? unlessRefused(this.spec.runtime.run, argv, result) : result;
  }

  /**
   * The command that serves calls over the runtime protocol.
   * @throws FunctionError `START_FAILED` where there is none
   */
  handler(): string[] {
    const handler = this.spec.kind === 'runtime' ? this.spec.runtime.handler : undefined;
    if (handler === undefined) throw new FunctionError('START_FAILED', 'the function has no handler');
    return handlerCommand(handler);
  }
}
