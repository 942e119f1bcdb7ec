import { defineStage } from '../../shared/policy/stage.ts';

/**
 * The stage of `npm start`: all three providers at the simulator, with one rule for each way of buying.
 * Copy it for a stage of your own; every field is described in the README, "Rules".
 */
export default defineStage({
  name: 'local',
  providers: {
    eiotclub: {
      currency: 'USD',
      settings: { baseUrl: 'http://127.0.0.1:1', appkey: '000001' },
      caps: {
        sim: { day: '20.00 USD', month: '60.00 USD' },
        provider: { day: '500.00 USD', month: '5000.00 USD' },
      },
    },
    'linksfield-csss': {
      currency: 'CNY',
      settings: { baseUrl: 'http://127.0.0.1:1', accessCode: 'P000270' },
      // Order status changes are documented as not signed; they come on a secret path and are confirmed by a query.
      callbacks: { acceptUnsigned: true },
      caps: { sim: { day: '200.00 CNY' }, provider: { day: '2000.00 CNY' } },
    },
    'linksfield-cube': {
      currency: 'CNY',
      settings: { baseUrl: 'http://127.0.0.1:1/cube/v4' },
      caps: { provider: { day: '500.00 CNY' } },
    },
  },
  rules: [
    {
      id: 'renew-low-data',
      provider: 'eiotclub',
      when: { kind: 'usage-alert', alerts: ['low-data', 'low-data-percent', 'expiring'] },
      do: { kind: 'renew', plan: { packageCode: 'PKG001' } },
      maxCost: '5.00 USD',
      cooldown: '12h',
    },
    {
      id: 'order-again-after-expiry',
      provider: 'linksfield-csss',
      when: { kind: 'order-status', statuses: ['expired'] },
      do: {
        kind: 'order',
        plan: {
          packageCode: 'DP20190726001274',
          packageName: 'C_M_0_P_中国20M不限速月套餐',
          packageType: '2',
          payAmount: '3.00',
        },
      },
      maxCost: '3.00 CNY',
      cooldown: '1d',
    },
    {
      id: 'ota-plan-when-none-is-left',
      provider: 'linksfield-csss',
      when: { kind: 'plan-reminder', warnings: ['no-plan', 'expired'] },
      do: {
        kind: 'order-ota',
        plan: {
          packageCode: 'DP20201218003915',
          packageName: 'T_T_T_0_P_S_中国100G/365天套餐',
          packageType: '1',
          payAmount: '99.00',
          days: 364,
        },
      },
      maxCost: '99.00 CNY',
      cooldown: '7d',
    },
  ],
});
