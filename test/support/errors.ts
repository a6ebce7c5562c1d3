import { expect } from 'chai';
import { PanalError, type ErrorCode } from '@panal/protocol';

/** Waits for the promise to fail with a `PanalError` of this code, and gives the error. */
export async function refusal(code: ErrorCode, promise: Promise<unknown>): Promise<PanalError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PanalError)) throw new Error(`expected ${code}`, { cause: error });
  expect(error.code).to.equal(code);
  return error;
}
