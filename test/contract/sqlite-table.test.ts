import { afterAll } from 'vitest';
import { epochMs } from '../../shared/core/time.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeTable } from './table-contract.ts';

const folder = temporaryFolder();
const now = () => epochMs(1_800_000_000_000);

describeTable('table on SQLite in memory', async () => openSqliteTable({ path: ':memory:', now }));
describeTable('table on a SQLite file', async () =>
  openSqliteTable({ path: `${folder.path}/table.db`, now }),
);

afterAll(() => folder.remove());
