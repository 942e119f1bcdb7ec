import type { SimIdKind, Subject } from '../../shared/core/subject.ts';
import { subjectOf } from '../../shared/core/subject.ts';
import type { Stage } from '../../shared/policy/stage.ts';
import { misused } from './failure.ts';

/**
 * The keys under which a SIM may be known: an operator names a card, not a provider. Every provider of the stage and
 * every kind of id that the text can be. Throws OpsError `usage` for a text that is no SIM id at all.
 */
export function subjectsNamed(text: string, stage: Stage, provider: string | null): readonly Subject[] {
  const kinds: readonly SimIdKind[] = ['iccid', 'imsi', 'eid'];
  const ids = stage.providers.map(({ id }) => id).filter((id) => provider === null || id === provider);
  const subjects = ids.flatMap((id) => kinds.flatMap((kind) => subjectOf(id, kind, text) ?? []));
  if (subjects.length > 0) return subjects;
  throw misused(
    `"${text.slice(0, 60)}" is no SIM of this stage: an ICCID has 18 to 22 digits, an IMSI 6 to 15, an EID letters and digits`,
  );
}
