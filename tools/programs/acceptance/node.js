#!/usr/bin/node
// A server, its client, a child, a worker, files, compression and digests.
'use strict';
const assert = require('assert');
const { execFile, fork, spawn } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const { promisify } = require('util');
const { Worker, isMainThread, parentPort } = require('worker_threads');
const zlib = require('zlib');

if (!isMainThread) {
    parentPort.once('message', (n) => parentPort.postMessage(n * n));
} else if (process.argv[2] === 'child') {
    process.on('message', (text) => { process.send(text.toUpperCase()); process.disconnect(); });
} else {
    main().then(() => console.log('accepted'), (error) => { console.error(error); process.exit(1); });
}

function once(emitter, event) {
    return new Promise((resolve, reject) => { emitter.once(event, resolve); emitter.once('error', reject); });
}

function get(port, target) {
    return new Promise((resolve, reject) => {
        http.get({ host: '127.0.0.1', port, path: target }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part)).on('end', () => resolve(Buffer.concat(parts).toString()));
        }).on('error', reject);
    });
}

async function main() {
    const server = http.createServer((request, answer) => answer.end(request.url.repeat(1000)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const answers = await Promise.all([...Array(20).keys()].map((n) => get(server.address().port, `/${n}`)));
    answers.forEach((text, n) => assert.strictEqual(text, `/${n}`.repeat(1000)));
    server.close();

    assert.strictEqual((await promisify(execFile)('sh', ['-c', 'echo $((6 * 7))'])).stdout, '42\n');
    const cat = spawn('cat');
    cat.stdin.end('through a pipe');
    let text = '';
    cat.stdout.on('data', (part) => { text += part; });
    assert.strictEqual(await once(cat, 'close'), 0);
    assert.strictEqual(text, 'through a pipe');
    const child = fork(__filename, ['child']);
    child.send('word');
    assert.strictEqual(await once(child, 'message'), 'WORD');
    await once(child, 'exit');

    const worker = new Worker(__filename);
    worker.postMessage(12);
    assert.strictEqual(await once(worker, 'message'), 144);
    await worker.terminate();

    const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'node-'));
    const file = path.join(folder, 'a');
    const watcher = fs.watch(folder);
    const seen = once(watcher, 'change');
    await fs.promises.writeFile(file, crypto.randomBytes(100000));
    await seen;
    watcher.close();
    const packed = await promisify(zlib.gzip)(await fs.promises.readFile(file));
    await fs.promises.writeFile(file + '.gz', packed);
    const back = await promisify(zlib.gunzip)(await fs.promises.readFile(file + '.gz'));
    const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');
    assert.strictEqual(digest(back), digest(fs.readFileSync(file)));
    await promisify(crypto.pbkdf2)('word', 'salt', 1000, 32, 'sha256');
    await fs.promises.rm(folder, { recursive: true });
}
