import { messageOf } from '../../engine/errors.js';
import type { RunRequest, RunResult } from '../../contracts/run.js';
import type { Blank, Prepared, Sandbox } from '../sandbox.js';
import type { CommandContract } from '../../contracts/index.js';
import { ChannelSandbox } from './channel-sandbox.js';
import type { Containers } from './containers.js';
import { DockerPrepared } from './prepared.js';
import type { Transport } from './transport.js';

/**
 * A running container with the agent, and with an empty folder where a function's code will be. Nothing of any function
 * was ever in it; once it is bound it is a sandbox of that function, until it is removed.
 */
export class BlankSandbox extends ChannelSandbox<CommandContract> implements Blank {
  #bound = false;

  /** @param like gives the runtime and the limits */
  constructor(containers: Containers, like: DockerPrepared, transport: Transport, contract: CommandContract) {
    super(containers, like.blank(), transport, contract);
  }

  async bind(prepared: Prepared): Promise<Sandbox | undefined> {
    if (!(prepared instanceof DockerPrepared)) throw new TypeError('prepared by another driver');
    if (this.#bound) throw new TypeError('a blank is bound once');
    this.#bound = true;
    try {
      const { memoryMb, cpus, pids } = this.prepared.spec.settings;
      const { settings } = prepared.spec;
      if (memoryMb !== settings.memoryMb || cpus !== settings.cpus || pids !== settings.pids) {
        await this.containers.limit(this.id, prepared);
      }
      await this.putCode(prepared);
      this.prepared = prepared;
      if (this.alive) return this;
    } catch (error) {
      this.containers.log.warn({ container: this.id, error: messageOf(error) }, 'blank sandbox not bound');
    }
    await this.remove();
    return undefined;
  }

  override async run(request: RunRequest): Promise<RunResult> {
    // Its container was made without the function's environment.
    const env = { ...this.prepared.spec.settings.env, ...request.env };
    return await super.run({ ...request, env });
  }

  protected override get codeAt(): string | undefined {
    return this.prepared.cwd;
  }
}
