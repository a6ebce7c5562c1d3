import { connect } from 'node:net';
import { expect } from 'chai';
import { EventReader } from '../support/event-reader.js';
import { Gate } from '../support/gate.js';
import { liveBroker } from '../support/live-broker.js';
import { eventually } from '../../testkit/wait.js';

describe('live logs over ZeroMQ', () => {
  const broker = liveBroker({ FAAS_BACKOFF_MS: '0' });
  const readers: EventReader[] = [];
  const follow = (callNum: number): EventReader => {
    const reader = new EventReader(`${broker().url}/call/${callNum}/logs`);
    readers.push(reader);
    return reader;
  };
  const seen = (reader: EventReader, ...events: string[]) =>
    eventually(`events ${events.join()}`, () => events.every((event) => reader.events.includes(event)));
  beforeEach(async () => {
    await broker().register('dice');
  });
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.leave();
  });

  it('come while the call runs: what there was, then each piece, then the end', async () => {
    const driver = await broker().worker();
    const [more, end] = [new Gate(), new Gate()];
    driver.onRun = async ({ onLog }) => {
      const pieces = ['before\n', 'after ', 'ñ'].map((text) => Buffer.from(text));
      onLog?.(pieces[0] ?? Buffer.alloc(0));
      await more.pass();
      onLog?.(pieces[1] ?? Buffer.alloc(0));
      // In the midst of a character.
      onLog?.(Buffer.from('ñ').subarray(0, 1));
      onLog?.(Buffer.from('ñ').subarray(1));
      await end.pass();
      return {
        status: 'DONE',
        result: Buffer.from(''),
        logs: Buffer.concat(pieces),
        runMs: 1,
        reusable: true,
      };
    };
    const callNum = await broker().invoke('dice');
    await eventually('it runs', () => more.arrivals === 1);
    const reader = follow(callNum);
    await seen(reader, 'log "before\\n"');
    more.open();
    await seen(reader, 'log "after "', 'log "ñ"');
    expect((await broker().call(callNum)).status).to.equal('RUNNING');
    end.open();
    await reader.ended;
    expect(reader.events).to.deep.equal([
      'log "before\\n"',
      'log "after "',
      'log "ñ"',
      `end {"callNum":${callNum},"status":"DONE"}`,
    ]);
  });

  it('are asked for only when somebody follows, and until the last one left', async () => {
    const worker = await broker().scripted();
    const callNum = await broker().invoke('dice');
    const invoke = await worker.nextInvoke();
    const asked = () => worker.heard.flatMap((message) => (message.type === 'follow' ? [message.on] : []));
    expect(asked()).to.deep.equal([]);
    const [first, second] = [follow(callNum), follow(callNum)];
    await eventually('the worker is asked for each', () => asked().length === 2);
    await worker.log(invoke, 0, 'ab');
    await seen(first, 'log "ab"');
    await seen(second, 'log "ab"');
    first.leave();
    await first.ended;
    await worker.log(invoke, 2, 'c');
    await seen(second, 'log "c"');
    expect(asked()).to.deep.equal([true, true]);
    second.leave();
    await eventually('the worker is told to stop', () => asked().at(-1) === false);
    await worker.reply(invoke);
  });

  it('reach everyone once, whenever they came and whatever is sent again', async () => {
    const worker = await broker().scripted();
    const callNum = await broker().invoke('dice');
    const invoke = await worker.nextInvoke();
    const first = follow(callNum);
    await worker.hears('follow');
    await worker.log(invoke, 0, 'ab');
    await seen(first, 'log "ab"');
    const second = follow(callNum);
    await eventually(
      'it is asked again',
      () => worker.heard.filter(({ type }) => type === 'follow').length === 2,
    );
    await worker.log(invoke, 0, 'abc');
    await worker.log(invoke, 3, 'd');
    await worker.log(invoke, 9, 'what comes after a gap');
    await worker.reply(invoke, {}, '', 'abcd and the rest');
    await Promise.all([first.ended, second.ended]);
    const end = `end {"callNum":${callNum},"status":"DONE"}`;
    expect(first.events).to.deep.equal(['log "ab"', 'log "c"', 'log "d"', 'log " and the rest"', end]);
    expect(second.events).to.deep.equal(['log "abc"', 'log "d"', 'log " and the rest"', end]);
  });

  it('go on with the next attempt of the call', async () => {
    const worker = await broker().scripted();
    const callNum = await broker().invoke('dice');
    const reader = follow(callNum);
    const failed = await worker.nextInvoke();
    await worker.hears('follow');
    const error = { code: 'SANDBOX_FAILED', message: 'broke' } as const;
    await worker.reply(failed, { status: 'FAILED', platform: true, error }, '', 'one');
    worker.say({ type: 'ready', slot: 0 });
    const again = await worker.nextInvoke();
    await seen(reader, 'log "one"', 'attempt {"attempt":2}');
    await eventually('the next one is asked', () =>
      worker.heard.some((message) => message.type === 'follow' && message.lease === again.lease),
    );
    await worker.log(again, 0, 'two');
    await worker.reply(again, {}, '', 'two');
    await reader.ended;
    expect(reader.events).to.deep.equal([
      'log "one"',
      'attempt {"attempt":2}',
      'log "two"',
      `end {"callNum":${callNum},"status":"DONE"}`,
    ]);
  });

  it('of a call that has ended come at once', async () => {
    const worker = await broker().scripted();
    const callNum = await broker().invoke('dice');
    await worker.reply(await worker.nextInvoke(), {}, '', 'rolled\n');
    await eventually('it ends', async () => (await broker().call(callNum)).status === 'DONE');
    const reader = follow(callNum);
    await reader.ended;
    expect(reader.events).to.deep.equal(['log "rolled\\n"', `end {"callNum":${callNum},"status":"DONE"}`]);
    const plain = await fetch(`${broker().url}/call/${callNum}/logs`);
    expect(plain.headers.get('content-type')).to.equal('text/plain; charset=utf-8');
    expect(await plain.text()).to.equal('rolled\n');
    const query = await fetch(`${broker().url}/call/${callNum}/logs?follow=1`);
    expect(query.headers.get('content-type')).to.contain('text/event-stream');
    await query.text();
  });

  it('so far are given as text to whoever does not stay', async () => {
    const driver = await broker().worker();
    const [before, after, end] = [new Gate(), new Gate(), new Gate()];
    driver.onRun = async ({ onLog, body }) => {
      await before.pass();
      onLog?.(Buffer.from('half '));
      await after.pass();
      onLog?.(Buffer.from('whole'));
      await end.pass();
      return { status: 'DONE', result: body, logs: Buffer.from('half whole'), runMs: 1, reusable: true };
    };
    const callNum = await broker().invoke('dice');
    const soFar = async (): Promise<string> => {
      const began = performance.now();
      const text = await (await fetch(`${broker().url}/call/${callNum}/logs`)).text();
      // The worker answers: nobody waits for its silence.
      expect(performance.now() - began).to.be.below(900);
      return text;
    };
    await eventually('it runs', () => before.arrivals === 1);
    expect(await soFar()).to.equal('');
    before.open();
    await eventually('it has logged', () => after.arrivals === 1);
    expect(await soFar()).to.equal('half ');
    // Others who follow do not matter.
    const reader = follow(callNum);
    await seen(reader, 'log "half "');
    after.open();
    await eventually('it has logged more', () => end.arrivals === 1);
    expect(await soFar()).to.equal('half whole');
    end.open();
    await reader.ended;
    expect(reader.events.slice(0, 2)).to.deep.equal(['log "half "', 'log "whole"']);
  });

  it('of a call that does not exist are 404', async () => {
    for (const headers of [{}, { Accept: 'text/event-stream' }]) {
      expect((await fetch(`${broker().url}/call/99/logs`, { headers })).status).to.equal(404);
    }
  });

  it('are let go of when the client hangs up without a word', async () => {
    const worker = await broker().scripted();
    const callNum = await broker().invoke('dice');
    const invoke = await worker.nextInvoke();
    const socket = connect(Number(new URL(broker().url).port), '127.0.0.1');
    socket.write(`GET /call/${callNum}/logs HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`);
    await worker.hears('follow');
    socket.destroy();
    await eventually('the worker is told to stop', () =>
      worker.heard.some((message) => message.type === 'follow' && !message.on),
    );
    await worker.reply(invoke, {}, 'done');
    await eventually('the call goes on', async () => (await broker().call(callNum)).result === 'done');
  });
});
