import { z } from 'zod';
import { BadImageReference, parseImageReference } from './image-reference.js';

/** Names of functions and runtimes. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A function's or runtime's name. A name that is not of this form is refused with `INVALID_NAME`. */
export const nameSchema = z.string().regex(NAME_PATTERN, `must match ${NAME_PATTERN.source}`);

/** An image reference, such as `example/reverse-string` or `localhost:5000/dice:2`. */
export const imageSchema = z
  .string()
  .max(1024)
  .superRefine((image, context) => {
    try {
      parseImageReference(image);
    } catch (error) {
      if (!(error instanceof BadImageReference)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  });

export const imageDigestSchema = z
  .string()
  .describe(
    'What `image` stood for when the version first ran, and all its calls run: NAME@DIGEST, or the id of an image that ' +
      'is in no registry. Absent before the first call has ended.',
  );

const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev', '/run', '/var/run'];

/** Whether `path`, absolute and normalised, is or lies in a folder through which a sandbox meets its kernel and Panal. */
export function isSystemFolder(path: string): boolean {
  return path === '/' || SYSTEM_FOLDERS.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** A folder in a sandbox: absolute, normalised, not the root, and none of the system's own. */
export const pathSchema = z
  .string()
  .max(4096)
  .regex(/^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/, 'must be an absolute path without . or .., other than /')
  .refine((path) => !isSystemFolder(path), 'must not lie in /proc, /sys, /dev or /run');

/** A shell command. Linux takes no argument over 128 KiB; half of it is more than anyone writes. */
export const commandSchema = z
  .string()
  .max(65_536)
  // There is one way only to match: a text that is too long is matched too, and must be refused as fast as it is read.
  .regex(/^\s*[^\0\s][^\0]*$/, 'must be a command');
