import type { SignedMessage } from './sign-callback.ts';

/** How long an answer is waited for: far longer than receive may take. */
const timeoutMs = 15_000;

export type PostResult =
  | { readonly kind: 'answered'; readonly status: number; readonly ms: number }
  | { readonly kind: 'unreachable'; readonly why: string };

/** Posts one callback as a provider would: no redirect is followed, nothing is repeated. */
export async function postCallback(
  url: string,
  message: SignedMessage,
  now: () => number,
): Promise<PostResult> {
  const start = now();
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: message.headers,
      body: message.body.slice(),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.arrayBuffer();
    return { kind: 'answered', status: response.status, ms: now() - start };
  } catch (error) {
    return { kind: 'unreachable', why: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : null;
  return code ?? (error.name === 'TimeoutError' ? `no answer within ${timeoutMs / 1000} s` : error.message);
}
