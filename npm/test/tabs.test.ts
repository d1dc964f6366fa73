// Tabs that share a connection, on virtual time. The same in a real browser: `tabs.browser.test.ts`.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RECENT } from '../src/tabs/shared.js';
import { random, type Tab, tokenOf, World } from './tabs-world.js';

let world: World;

/** A world whose every random number comes from one seed. */
function begin(seed: number): void {
  world = new World(seed);
  vi.spyOn(Math, 'random').mockImplementation(world.random);
}

beforeEach(() => begin(1));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Opens tabs, the first of which leads. */
async function open(count: number): Promise<Tab[]> {
  const tabs: Tab[] = [];
  for (let index = 0; index < count; index += 1) {
    tabs.push(await world.open());
    await world.pass(200);
  }
  return tabs;
}

async function publish(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await world.publish();
    await world.pass(50);
  }
}

const roles = (tabs: Tab[]) => tabs.map((tab) => tab.shared.role);
const all = () => world.log.map(({ seq }) => seq);

/** How long the others wait until one of them is connected, in milliseconds. */
async function takeover(tabs: Tab[]): Promise<number> {
  const began = world.now;
  while (!tabs.some((tab) => tab.engine.connected) && world.now < began + 10_000) await world.pass(10);
  return world.now - began;
}

describe('tabs of one user', () => {
  test('use one connection, and all of them hear everything', async () => {
    const tabs = await open(8);
    await publish(5);
    expect(world.connected).toEqual([tabs[0]]);
    expect(roles(tabs)).toEqual(['leader', ...Array(7).fill('follower')]);
    for (const tab of tabs) expect(tab.seen).toEqual(all());
    for (const tab of tabs) expect([tab.state, tab.feedStatus]).toEqual(['live', 'live']);
  });

  test('that open late begin with the latest signal, as the gateway would have it', async () => {
    await open(1);
    await publish(3);
    const [late] = await open(1);
    await publish(1);
    expect(late?.seen).toEqual(all().slice(-2));
    expect(late?.gaps).toEqual([]);
  });

  test('begin with the latest signal of a feed that so far only another tab wanted', async () => {
    const leader = await world.open({ idle: true });
    await world.pass(200);
    await world.open();
    await publish(3);
    leader.subscribe();
    expect(leader.seen, 'not before the caller knows the feed').toEqual([]);
    await world.pass(200);
    expect(leader.seen).toEqual(all().slice(-1));
    await publish(2);
    expect([leader.seen, leader.gaps]).toEqual([all().slice(-3), []]);
  });

  test('begin with the latest signal of a feed that a leader knows by the wishes of others alone', async () => {
    const old = await world.open();
    await world.pass(200);
    const leader = await world.open({ idle: true });
    await world.pass(200);
    const other = await world.open();
    await publish(3);
    old.quit();
    await world.pass(200);
    expect(roles([leader, other])).toEqual(['leader', 'follower']);
    leader.subscribe();
    await world.pass(200);
    expect(leader.seen).toEqual(all().slice(-1));
    await publish(2);
    expect([leader.seen, leader.gaps]).toEqual([all().slice(-3), []]);
    expect([other.seen, other.gaps]).toEqual([all(), []]);
  });

  test('begin with the latest signal of a feed that they held for others while they led', async () => {
    const robbed = await world.open({ idle: true });
    await world.pass(200);
    const other = await world.open();
    await publish(3);
    robbed.hang();
    await takeover([other]);
    robbed.wake();
    await world.pass(200);
    expect(roles([robbed, other])).toEqual(['follower', 'leader']);
    robbed.subscribe();
    await world.pass(200);
    expect(robbed.seen).toEqual(all().slice(-1));
    other.quit();
    await world.pass(200);
    await publish(2);
    expect([robbed.seen, robbed.gaps]).toEqual([all().slice(-3), []]);
  });

  test('hold one reference each, and give it back when they leave', async () => {
    const [leader, second, third] = await open(3);
    expect(leader?.engine.references).toBe(3);
    second?.quit();
    await world.pass(10);
    expect(leader?.engine.references).toBe(2);
    third?.crash();
    await world.pass(60_000);
    expect(leader?.engine.references, 'nobody said goodbye').toBe(1);
  });

  test.each(['quit', 'crash', 'freeze'] as const)('go on at once when the leader is gone: %s', async (end) => {
    const tabs = await open(4);
    await publish(3);
    tabs[0]?.[end]();
    await world.publish();
    expect(await takeover(tabs.slice(1))).toBeLessThan(200);
    await publish(3);
    for (const tab of tabs.slice(1)) {
      expect(tab.seen).toEqual(all());
      expect(tab.gaps).toEqual([]);
    }
  });

  test('take over from a leader that hangs after three seconds, and it follows when it wakes up', async () => {
    const tabs = await open(3);
    const [leader] = tabs;
    await publish(2);
    leader?.hang();
    await world.publish();
    const ms = await takeover(tabs.slice(1));
    expect(ms).toBeGreaterThan(1_900);
    expect(ms).toBeLessThan(4_000);
    await publish(2);
    leader?.wake();
    await publish(2);
    expect(leader?.shared.role).toBe('follower');
    for (const tab of tabs) expect([tab.seen, tab.gaps]).toEqual([all(), []]);
  });

  test('that nobody looks at leave a silent leader alone, until somebody does', async () => {
    const tabs = await open(2);
    tabs[1]?.hide();
    tabs[0]?.hang();
    await world.pass(60_000);
    expect(tabs[1]?.shared.role).toBe('follower');
    tabs[1]?.show();
    await world.pass(3_800);
    expect(tabs[1]?.engine.connected).toBe(true);
  });

  test('are led by a visible one, if there is one', async () => {
    const [leader, hidden, visible] = await open(3);
    hidden?.hide();
    await world.pass(100);
    leader?.quit();
    await world.pass(200);
    expect(roles([hidden, visible] as Tab[])).toEqual(['follower', 'leader']);
    visible?.crash();
    await world.pass(200);
    expect(hidden?.shared.role, 'rather a hidden one than none').toBe('leader');
  });

  test('do not take a page that slept for a leader that is silent', async () => {
    const tabs = await open(2);
    for (const tab of tabs) tab.hang();
    await world.pass(3_600_000);
    for (const tab of tabs) tab.wake();
    await world.pass(3_000);
    expect(roles(tabs)).toEqual(['leader', 'follower']);
  });

  test('that were frozen get what they missed from the leader, in order', async () => {
    const tabs = await open(2);
    await publish(2);
    tabs[1]?.freeze();
    await publish(20);
    tabs[1]?.thaw();
    await publish(2);
    expect([tabs[1]?.seen, tabs[1]?.gaps]).toEqual([all(), []]);
  });

  test('that were frozen for longer than the leader remembers get it from the gateway, in order', async () => {
    const tabs = await open(2);
    await publish(2);
    tabs[1]?.freeze();
    await publish(2 * RECENT + 20);
    tabs[1]?.thaw();
    await world.pass(10);
    await publish(2);
    expect([tabs[1]?.seen, tabs[1]?.gaps]).toEqual([all(), []]);
  });

  test('are told of a gap when the gateway does not remember either', async () => {
    const tabs = await open(2);
    await publish(2);
    tabs[1]?.freeze();
    await publish(2 * RECENT + 20);
    world.forgetful = true;
    tabs[1]?.thaw();
    await world.pass(10);
    await publish(2);
    await world.pass(2_000);
    const [, , next = 0, ...rest] = tabs[1]?.seen ?? [];
    expect(tabs[1]?.gaps).toEqual([[20, next]]);
    expect([next, ...rest]).toEqual(all().slice(-rest.length - 1));
    expect(rest.length).toBeGreaterThan(RECENT);
  });

  test('are one again after the leader came back from the back/forward cache', async () => {
    const tabs = await open(2);
    await publish(1);
    tabs[0]?.freeze();
    await publish(1);
    tabs[0]?.thaw();
    await publish(1);
    await world.pass(200);
    expect(roles(tabs)).toEqual(['follower', 'leader']);
    for (const tab of tabs) expect([tab.seen, tab.gaps]).toEqual([all(), []]);
  });

  test('show that a connection is lost, all of them', async () => {
    const tabs = await open(3);
    tabs[0]?.engine.drop();
    await world.pass(10);
    expect(tabs.map((tab) => tab.state)).toEqual(['waiting', 'waiting', 'waiting']);
  });

  test('pass on that their user wants to try again', async () => {
    const tabs = await open(2);
    const asked = vi.spyOn(tabs[0]?.engine as object as { input(input: string): void }, 'input');
    tabs[1]?.shared.input('connect');
    tabs[1]?.shared.input('new_token');
    await world.pass(10);
    expect(asked.mock.calls.flat()).toEqual(['connect', 'new_token']);
  });

  test('take over from a leader that is blocked when their user wants to try again', async () => {
    const tabs = await open(2);
    if (tabs[0]) tabs[0].state = 'blocked';
    await world.pass(1_100);
    expect(tabs[1]?.state).toBe('blocked');
    tabs[1]?.shared.input('connect');
    await world.pass(200);
    expect(roles(tabs)).toEqual(['follower', 'leader']);
    expect(world.connected).toEqual([tabs[1]]);
  });

  test('take over from a leader that is blocked when they open, and only then', async () => {
    const [blocked, before] = await open(2);
    if (blocked) blocked.state = 'blocked';
    await world.pass(1_100);
    const opened = await world.open();
    await world.pass(200);
    const tabs = [blocked, before, opened] as Tab[];
    expect(roles(tabs)).toEqual(['follower', 'follower', 'leader']);
    expect([world.connected, opened.shown.includes('blocked')]).toEqual([[opened], false]);
    opened.state = 'blocked';
    await world.pass(10_000);
    expect(roles(tabs), 'nobody takes it from it').toEqual(['follower', 'follower', 'leader']);
    expect(tabs.map(({ state }) => state)).toEqual(['blocked', 'blocked', 'blocked']);
  });

  test('go on when the module of one gives up, which is one of them again when it is tried again', async () => {
    const tabs = await open(2);
    const [failed, other] = tabs as [Tab, Tab];
    await publish(2);
    failed.engine.fail();
    expect(await takeover([other])).toBeLessThan(200);
    await publish(2);
    failed.shared.start({} as never);
    await world.pass(200);
    expect([roles(tabs), world.connected]).toEqual([['follower', 'leader'], [other]]);
    failed.shared.input('connect');
    failed.freeze();
    await publish(2);
    failed.thaw();
    await world.pass(200);
    other.quit();
    expect(await takeover([failed])).toBeLessThan(200);
    await publish(2);
    expect([failed.seen, failed.gaps]).toEqual([all(), []]);
  });

  test('do not listen to what they do not understand', async () => {
    const tabs = await open(2);
    tabs[0]?.post({ kind: 'novelty', of: 'a newer page' } as never);
    tabs[1]?.post({ kind: 'ask', what: 'disconnect', more: true } as never);
    await publish(1);
    for (const tab of tabs) expect(tab.seen).toEqual(all());
  });
});

test('a tab that learns from its token who the user is connects with none before it knows who leads', async () => {
  const [leader] = await open(1);
  leader?.hang();
  const tab = await world.open({ identity: undefined, getToken: () => tokenOf('alice') });
  await world.pass(500);
  tab.engine.dropConnection();
  await world.pass(500);
  expect([tab.group, tab.shared.role, tab.engine.connected]).toEqual([leader?.group, 'follower', false]);
  await world.pass(3_000);
  expect([tab.shared.role, tab.engine.connected]).toEqual(['leader', true]);
});

test.each([
  ['is silent', () => new Promise<undefined>(() => {})],
  ['fails', () => Promise.reject(new Error('no wallet'))],
  [
    'throws',
    () => {
      throw new Error('no wallet');
    },
  ],
])('a tab whose wallet %s when it is asked for the user connects all the same', async (_, user) => {
  vi.useFakeTimers();
  const tab = await world.open({ identity: undefined, getToken: Object.assign(() => tokenOf('alice'), { user }) });
  await vi.advanceTimersByTimeAsync(2_000);
  vi.useRealTimers();
  await world.pass(200);
  expect([tab.group, tab.shared.role, tab.state]).toEqual(['wss://gateway/ws alice', 'leader', 'live']);
});

test('tabs of different users share nothing', async () => {
  const alice = await world.open({ identity: 'alice' });
  const bob = await world.open({ identity: 'bob' });
  vi.spyOn(world, 'check').mockImplementation(() => {});
  await world.pass(200);
  expect(roles([alice, bob])).toEqual(['leader', 'leader']);
  expect(alice.group).not.toBe(bob.group);
});

test('a tab that the gateway takes for another user than its group leaves the group', async () => {
  const [first, second] = await open(2);
  const connected = (user_id: string) => ({ type: 'connected', payload: { user_id } }) as never;
  first?.shared.onControl(connected('0xA'));
  await world.pass(1_100);
  first?.quit();
  await world.pass(200);
  const before = second?.group;
  second?.shared.onControl(connected('0xB'));
  await world.pass(200);
  expect(second?.group).not.toBe(before);
  expect(second?.engine.connected, 'its own connection is as good as before').toBe(true);
});

/** One random half-hour with up to six tabs; afterwards everything has to be well. How many gaps were told. */
async function halfHour(seed: number): Promise<number> {
  begin(seed);
  const dice = random(seed + 1);
  const oneOf = <T>(list: T[]) => list[Math.floor(dice() * list.length)];
  const here = () => world.tabs.filter((tab) => !tab.gone);
  await world.open();
  for (const until = world.now + 1_800_000; world.now < until; ) {
    await world.pass(dice() * 8_000);
    const tab = oneOf(here());
    const awake = tab && !tab.hung && !tab.frozen;
    const what = dice();
    if (what < 0.4) await world.publish();
    else if (what < 0.5 && here().length < 6) await world.open({ visible: dice() < 0.7, idle: dice() < 0.3 });
    else if (!tab) continue;
    else if (tab.hung) tab.wake();
    else if (tab.frozen) tab.thaw();
    else if (awake && what < 0.58) tab.hide();
    else if (awake && what < 0.7) tab.show();
    else if (awake && what < 0.76) tab.freeze();
    else if (awake && what < 0.82) tab.hang();
    else if (what < 0.86) tab.crash();
    else if (what < 0.9) tab.quit();
    else if (what < 0.95 && tab.engine.connected) tab.engine.dropConnection();
    else if (awake && what < 0.97) tab.subscribe();
    else if (awake) tab.shared.input('connect');
  }
  for (const tab of here()) {
    if (tab.hung) tab.wake();
    if (tab.frozen) tab.thaw();
    tab.subscribe();
    tab.show();
  }
  await world.open();
  await world.pass(4_500);
  await publish(2);
  await world.pass(1_000);
  expect(world.connected).toHaveLength(1);
  for (const tab of here()) {
    expect(tab.seen.at(-1), `${tab.id} is up to date`).toBe(world.log.at(-1)?.seq);
    expectWhole(tab);
  }
  return here().reduce((gaps, tab) => gaps + tab.gaps.length, 0);
}

/** It misses nothing and hears nothing twice; where it was told of a gap, what was missing came after. */
function expectWhole(tab: Tab): void {
  const late = all().filter((seq) => tab.gaps.some(([after, before]) => after < seq && seq < before));
  for (const seq of late) expect(tab.filled, `${tab.id} got ${seq} in the end`).toContain(seq);
  const inTime = all().filter((seq) => !late.includes(seq));
  expect(tab.seen, `${tab.id} misses nothing and hears nothing twice`).toEqual(inTime.slice(-tab.seen.length));
}

test('the invariants hold at every step of random half-hours', async () => {
  const runs = Number(process.env['TIDEGATE_TAB_RUNS'] ?? 30);
  let gaps = 0;
  for (let seed = 1; seed <= runs; seed += 1) {
    gaps += await halfHour(seed).catch((cause: unknown) => {
      throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
    });
  }
  expect(gaps).toBe(0);
}, 3_600_000);
