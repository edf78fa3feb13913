/** What a failed request to the hub means. */
import { KdxError } from '../errors/index.ts';

/** No usable answer from the hub; the cache may still serve. */
export class HubUnreachable extends Error {
  override readonly name = 'HubUnreachable';
}

/** Runs a request, and says what its failure means. */
export async function ask<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    if (isRefusal(error)) throw refusal(error, what);
    throw new HubUnreachable(`${what} cannot be reached (${reason(error)})`, { cause: error });
  }
}

/** The hub library's HubApiError, told by its shape so that the library is loaded only for a download. */
interface Refusal extends Error {
  readonly statusCode: number;
}

function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && typeof (error as Partial<Refusal>).statusCode === 'number';
}

function refusal(error: Refusal, what: string): Error {
  switch (error.statusCode) {
    case 401:
    case 403:
      return new KdxError('hub-not-authorized', `no access to ${what}: it is private or gated, or does not exist`, {
        suggestions: ['check the spelling', 'accept its terms on the hub and set HF_TOKEN to a token that may read it'],
        cause: error,
      });
    case 404:
      return new KdxError('hub-not-found', `there is no model ${what}, nor a local folder of that name`, {
        suggestions: ['check the spelling of the folder, or of the model and its revision'],
        cause: error,
      });
    default:
      return new HubUnreachable(`${what} answers with status ${error.statusCode}`, { cause: error });
  }
}

/** The innermost message: fetch says only that it failed, its cause says why. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reason(error.cause);
  return error.message || ((error as NodeJS.ErrnoException).code ?? error.name);
}
