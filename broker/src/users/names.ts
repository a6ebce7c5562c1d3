/** Most characters of a user's name: an e-mail address has no more (RFC 5321, 4.5.3.1). */
const MAX_NAME = 254;
/** Most bytes of a password, as UTF-8. */
const MAX_PASSWORD_BYTES = 1024;
/** What is longer before it is normalised is refused unread, in UTF-16 units. */
const MAX_UNREAD = 4096;

/** Control and format characters, halves of surrogate pairs, line ends, and the colon, which Basic cannot carry. */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}:]/u;

/** What a user's name must be, for people. */
export const NAME_RULE = `a user's name has 1 to ${MAX_NAME} characters, no control characters or colons, and no space at its ends`;
/** What a password must be, for people. */
export const PASSWORD_RULE = `a password has 1 to ${MAX_PASSWORD_BYTES} bytes of well-formed Unicode`;

/**
 * A user's name as it is kept: NFKC, so that the same name is the same user however it was typed.
 * @returns `undefined` where it breaks `NAME_RULE`
 */
export function asUserName(text: string): string | undefined {
  if (text.length > MAX_UNREAD) return undefined;
  const name = text.normalize('NFKC');
  const length = Array.from(name).length;
  // With a space at its end, a name would look like another one, and be it wherever it is trimmed.
  const isWrong = length === 0 || length > MAX_NAME || FORBIDDEN.test(name) || name.trim() !== name;
  return isWrong ? undefined : name;
}

/**
 * A password as it is hashed: NFKC.
 * @returns `undefined` where it breaks `PASSWORD_RULE`
 */
export function asPassword(text: string): string | undefined {
  if (text.length > MAX_UNREAD) return undefined;
  const password = text.normalize('NFKC');
  const tooLong = Buffer.byteLength(password) > MAX_PASSWORD_BYTES;
  // Half of a surrogate pair has no UTF-8: several passwords would become one.
  return password === '' || tooLong || /\p{Cs}/u.test(password) ? undefined : password;
}
