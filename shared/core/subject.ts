/** Names one provider integration, such as `eiotclub`. The registry holds the list. */
export type ProviderId = string;

/** How a provider names a SIM. */
export type SimIdKind = 'iccid' | 'eid' | 'imsi';

/** One SIM at one provider. */
export interface Subject {
  readonly provider: ProviderId;
  readonly idKind: SimIdKind;
  /** As the provider spells it: what goes into calls. */
  readonly simId: string;
  /** Normalised, so that spellings of one SIM share one timeline, one lock and one set of caps. */
  readonly key: string;
}

/**
 * Builds the subject from an identifier as received; null when it can't be one.
 *
 * An ICCID has 18 to 22 digits. Spaces, hyphens and `F` padding go, and so does a valid Luhn digit beyond
 * 18 digits (as often as there is one), since some messages carry the check digit and others don't.
 * Two different ICCIDs of the same length never share a key, because only one check digit is valid.
 * Source: ITU-T E.118, section 4 (check digit by the Luhn formula); ETSI TS 102 221, 13.2 (F padding).
 */
export function subjectOf(provider: ProviderId, idKind: SimIdKind, received: string): Subject | null {
  const simId = received.replace(/[\s-]/g, '');
  const normalised = normalise(idKind, simId);
  return normalised === null ? null : { provider, idKind, simId, key: `${provider}:${idKind}:${normalised}` };
}

function normalise(idKind: SimIdKind, simId: string): string | null {
  const text = simId.toUpperCase();
  switch (idKind) {
    case 'iccid': {
      const digits = text.replace(/F+$/, '');
      return /^\d{18,22}$/.test(digits) ? withoutCheckDigits(digits) : null;
    }
    case 'eid':
      return /^[0-9A-Z]{1,40}$/.test(text) ? text : null;
    case 'imsi':
      return /^\d{6,15}$/.test(text) ? text : null;
    default: {
      const never: never = idKind;
      throw new Error(`unknown kind of SIM id: ${String(never)}`);
    }
  }
}

function withoutCheckDigits(digits: string): string {
  let rest = digits;
  while (rest.length > 18 && luhnDigit(rest.slice(0, -1)) === rest.at(-1)) rest = rest.slice(0, -1);
  return rest;
}

/** The Luhn check digit of a string of digits. */
export function luhnDigit(digits: string): string {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 0 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return String((10 - (sum % 10)) % 10);
}
