/** One line of what the engine says while it pulls or builds. */
interface Progress {
  /** A piece of a build's output. */
  stream?: string;
  error?: string;
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
  };
}

/**
 * Reads the progress of a pull or build to its end: only then is the image there.
 * @throws ProgressError for an error that stands in the stream
 */
export async function followProgress(stream: NodeJS.ReadableStream): Promise<void> {
  stream.setEncoding('utf8');
  let output = '';
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() === '') continue;
      const progress = parse(line);
      if (progress.error !== undefined) throw new ProgressError(progress.error, output);
      output += progress.stream ?? '';
    }
  }
}
