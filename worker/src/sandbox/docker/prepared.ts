import { runtimeOf, type FunctionSpec } from '@panal/protocol';
import type { Image } from '../../images/image.js';
import type { Origin } from '../../images/images.js';
import { contractOf, type Target } from '../../contracts/index.js';
import type { Prepared } from '../sandbox.js';

/** A function whose image is there, or its runtime's image and its code. */
export class DockerPrepared implements Prepared, Target {
  readonly spec: FunctionSpec;
  readonly image: Image;
  readonly imageCommand: readonly string[];
  /** Folder with the code, to be copied for each sandbox; `undefined` where the image has it. */
  readonly code: string | undefined;

  constructor(spec: FunctionSpec, { image, code }: Origin) {
    this.spec = spec;
    this.image = image;
    this.imageCommand = [...image.entrypoint, ...image.cmd];
    this.code = code;
  }

  /** A blank has nothing but what the runtime's image has, and speaks to the agent; and a network cannot be put in. */
  get blanks(): string | undefined {
    if (this.code === undefined || this.cwd === undefined) return undefined;
    const { lifecycle, network } = this.spec.settings;
    const hasServer = contractOf(lifecycle).server !== undefined;
    return hasServer || network !== 'none' ? undefined : `${this.image.id} ${this.cwd}`;
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
    return runtimeOf(this.spec)?.path;
  }
}
