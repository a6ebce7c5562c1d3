/** One line of what the engine says while it pulls or builds. */
interface Progress {
  /** A piece of a build's output. */
  stream?: string;
  error?: string;
  /** Digest of what was pushed. */
  digest?: string;
}

/** An error that the engine reported after it had answered 200. */
export class ProgressError extends Error {
  /** The build's output up to the error. */
  readonly output: string;
  constructor(message: string, output: string) {
    super(message);
    this.name = 'ProgressError';
    this.output = output;
  }
}

function parse(line: string): Progress {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null) return {};
  return {
    ...('stream' in value && typeof value.stream === 'string' && { stream: value.stream }),
    ...('error' in value && typeof value.error === 'string' && { error: value.error }),
    ...('aux' in value && digestIn(value.aux)),
  };
}

function digestIn(aux: unknown): Progress {
  if (typeof aux !== 'object' || aux === null || !('Digest' in aux)) return {};
  return typeof aux.Digest === 'string' ? { digest: aux.Digest } : {};
}

/**
 * Reads the progress of a pull, build or push to its end: only then is the image there.
 * @returns the digest of what was pushed
 * @throws ProgressError for an error that stands in the stream
 */
export async function followProgress(stream: NodeJS.ReadableStream): Promise<string | undefined> {
  stream.setEncoding('utf8');
  let output = '';
  let rest = '';
  let digest: string | undefined;
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      const progress = parse(line);
      if (progress.error !== undefined) throw new ProgressError(progress.error, output);
      output += progress.stream ?? '';
      digest = progress.digest ?? digest;
    }
  }
  return digest;
}
