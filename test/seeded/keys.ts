import type { Random } from '../../shared/platform/random.ts';
import type { SecretSet, SecretSource } from '../../shared/platform/secret-source.ts';
import { Secret } from '../../shared/signing/index.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';

/** The secret part of CSSS's callback path. */
export const pathToken = '0123456789abcdef0123456789abcdef';

export const callbackKeys = {
  eiotclub: { old: simulatorDefaults.eiotclub.callbackSecret, fresh: 'sim-eiotclub-callback-secret-2' },
  'linksfield-csss': { old: simulatorDefaults.csss.callbackSecret, fresh: 'sim-csss-callback-secret-2' },
} as const;

export const apiKeys = {
  eiotclub: { old: simulatorDefaults.eiotclub.secret, fresh: 'sim-eiotclub-api-secret-2' },
  'linksfield-csss': { old: simulatorDefaults.csss.secret, fresh: 'sim-csss-api-secret-2' },
} as const;

/** Where the rotation of all secrets stands: our store holds both first, then the provider signs with the new one. */
export interface Rotation {
  stored: boolean;
  signing: boolean;
}

type Id = keyof typeof callbackKeys;
const isId = (text: string): text is Id => Object.hasOwn(callbackKeys, text);

/**
 * Secrets as one worker sees them: what it read at its start, for a while even after a rotation; `reread` asks the
 * store.
 */
export function secretsOf(rotation: Rotation, random: Random): SecretSource {
  const knows = rotation.stored && random.fraction() < 0.5;
  const set = (provider: string, purpose: 'callback' | 'api', fresh: boolean): SecretSet => {
    if (!isId(provider)) return { keys: [], pathToken: null };
    const { old, fresh: next } = (purpose === 'callback' ? callbackKeys : apiKeys)[provider];
    const keys = (fresh ? [next, old] : [old]).map((value) => ({ keyId: null, secret: new Secret(value) }));
    const token = provider === 'linksfield-csss' && purpose === 'callback' ? new Secret(pathToken) : null;
    return { keys, pathToken: token };
  };
  return {
    read: async (provider, purpose) => set(provider, purpose, knows),
    reread: async (provider, purpose) => set(provider, purpose, rotation.stored),
  };
}
