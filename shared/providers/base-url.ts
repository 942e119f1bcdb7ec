import { z } from 'zod';

/**
 * True when provider calls may go to this address: https anywhere, plain http only to this machine.
 * User names, queries and fragments are refused, since they would travel in every request or be lost.
 */
export function isAllowedBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  if (/[?#]/.test(text)) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

/** The base URL in a stage file: the only place from which a provider's address comes. */
export const baseUrlSchema = z.string().max(500).refine(isAllowedBaseUrl, {
  error:
    'must be an https URL (http only for localhost, 127.x.x.x or [::1]) without user, query and fragment',
});

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
