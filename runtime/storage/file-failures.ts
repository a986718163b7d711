/** What an error of the file system means for a task. */
import { asError, Rejection, Retryable, TaskFailure } from '../errors.ts';
import { systemErrorCode } from './folder.ts';

/** A system's error as a failure of the task, saying what could not be done and how to fix it. */
export function fileFailure(error: unknown, doing: string, root: string): Error {
  if (error instanceof TaskFailure) return error;
  const code = systemErrorCode(error) ?? asError(error).message;
  const what = `Cannot ${doing} in ${root}`;
  const reject = (why: string) =>
    new Rejection(`${what}: ${why}.`, { failureType: 'invalid-task', cause: error });
  const retry = (why: string) => new Retryable(`${what}: ${why}.`, { failureType: 'storage', cause: error });
  switch (code) {
    case 'ENOTDIR':
      return reject('a part of the key that should be a folder is a file');
    case 'EISDIR':
    case 'ENOTEMPTY':
      return reject('a folder has that name');
    case 'ENAMETOOLONG':
      return reject('the name is too long for its file system');
    case 'ELOOP':
      return reject('a symbolic link has that name, and links are not followed');
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return retry(`the file system is full or a quota is reached (${code}); free some space`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return retry(`this user may not (${code}); correct the folder's owner, mode or mount`);
    case 'EXDEV':
      return retry('a folder below the root is another file system; mount one for the whole root');
    default:
      return retry(`the file system says ${code}`);
  }
}
