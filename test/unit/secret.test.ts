import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../shared/signing/secret.ts';

describe('Secret', () => {
  it('shows [secret] as text, in JSON and when inspected', () => {
    const secret = new Secret('hunter2');
    expect(`${secret}`).toBe('[secret]');
    expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
    expect(inspect({ secret })).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2');
  });

  it('refuses an empty value, since an empty key lets anyone sign', () => {
    expect(() => new Secret('')).toThrow(RangeError);
  });
});
