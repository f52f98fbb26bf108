// A station or a CSMS made of the npm package ocpp-rpc, told what to do by JSON lines on stdin.
// It writes what its own WebSocket calls gave, before any OCPP decoding, as JSON lines on stdout: that is its half
// of the truth log. It knows nothing of scenarios, captures or of ocppscope.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const options = JSON.parse(process.argv[2]);
const side = options.role === 'station' ? 'cp' : 'csms';

// ocpp-rpc takes its message ids from here: a counted digest gives the same ids in every recording.
let counter = 0;
crypto.randomUUID = () => {
    const digest = crypto.createHash('sha256').update(`${options.seed ?? 1}/${counter++}`).digest('hex');
    return [digest.slice(0, 8), digest.slice(8, 12), '4' + digest.slice(13, 16), 'a' + digest.slice(17, 20),
        digest.slice(20, 32)].join('-');
};

const { RPCClient, RPCServer, createRPCError } = require('ocpp-rpc');
const WebSocket = require(require.resolve('ws', { paths: [require.resolve('ocpp-rpc')] }));

const ANSWERS = JSON.parse(fs.readFileSync(path.join(__dirname, 'answers.json'), 'utf8'));
const FRAGMENT_PAUSE_MS = 50;
const names = new WeakMap(); // WebSocket -> station identity
const clients = new Map(); // station identity -> RPCClient or RPCServerClient
const behaviour = new Map(); // "station/action", either of them empty for all -> how to answer it
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// The system's monotonic clock, which the recorder turns into the time of day for all peers alike.
function emit(kind, fields) {
    process.stdout.write(JSON.stringify({ kind, t: Number(process.hrtime.bigint()) / 1e9, ...fields }) + '\n');
}

function filled(payload) {
    return JSON.parse(JSON.stringify(payload).replaceAll('$now', new Date().toISOString()));
}

function endpoint(ws) {
    const socket = ws._socket;
    if (!socket) return '';
    const [host, port] = side === 'cp' ? [socket.localAddress, socket.localPort] : [socket.remoteAddress, socket.remotePort];
    return host && host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function note(ws, kind, text) {
    emit(kind, { cp: names.get(ws) ?? '', peer: side, conn: ws.endpointAtOpen ?? endpoint(ws), text });
}

// --- what the WebSocket calls carry ---

const librarySend = WebSocket.prototype.send;
WebSocket.prototype.send = function send(data, sendOptions, ...rest) {
    if (!this.inFragments) note(this, 'sent', data.toString());
    return librarySend.call(this, data, sendOptions, ...rest);
};

const libraryEmit = WebSocket.prototype.emit;
WebSocket.prototype.emit = function emitNoting(event, ...args) {
    if (event === 'message') note(this, 'recv', args[0].toString());
    if (event === 'close' && names.has(this)) note(this, 'close', `${args[0]} ${args[1] ?? ''}`);
    return libraryEmit.call(this, event, ...args);
};

function opened(client, cp) {
    const ws = client._ws;
    names.set(ws, cp);
    ws.endpointAtOpen = endpoint(ws);
    clients.set(cp, client);
    const extensions = ws.extensions ? ws.extensions.split(';').slice(0, 1) : [];
    const url = side === 'cp' ? new URL(ws.url).pathname : client.handshake.request.url;
    note(ws, 'open', JSON.stringify({ path: url, subprotocol: ws.protocol, ext: extensions }));
}

function howTo(cp, action) {
    const known = [`${cp}/${action}`, `${cp}/`, `/${action}`];
    return behaviour.get(known.find(key => behaviour.has(key))) ?? {};
}

function serveActions(client, version) {
    for (const [action, usual] of Object.entries(ANSWERS[version] ?? ANSWERS['ocpp1.6'])) {
        client.handle(action, async ({ messageId }) => {
            const how = howTo(client.identity, action);
            if (how.delay) await pause(how.delay * 1000);
            if (how.never) await new Promise(() => {});
            if (how.raw) {
                client.sendRaw(how.raw.replaceAll('$id', messageId));
                await new Promise(() => {});
            }
            if (how.error) throw createRPCError('InternalError', how.error, {});
            const payload = filled(how.payload ?? usual);
            if (how.twice) client.sendRaw(JSON.stringify([3, messageId, payload]));
            return payload;
        });
    }
}

// --- commands ---

const commands = {
    async connect({ cp, url, protocols, password, deflate, takeover }) {
        const noTakeover = takeover === false ? { clientNoContextTakeover: true, serverNoContextTakeover: true } : {};
        const client = new RPCClient({
            endpoint: url,
            identity: cp,
            protocols: protocols ?? [],
            password,
            reconnect: false,
            strictMode: options.strict ?? false,
            callTimeoutMs: (options.timeout ?? 30) * 1000,
            pingIntervalMs: (options.ping ?? 0) * 1000,
            wsOpts: { perMessageDeflate: deflate ? { threshold: 0, ...noTakeover } : false },
        });
        serveActions(client, (protocols ?? [])[0]);
        client.once('open', () => opened(client, cp));
        try {
            await client.connect();
        } catch (error) {
            emit('reject', { cp, peer: side, conn: '', text: String(error.code ?? error.message) });
            return { status: error.code ?? error.message };
        }
        return { status: 101, subprotocol: client.protocol };
    },
    async call({ cp, action, payload }) {
        try {
            await clients.get(cp).call(action, filled(payload));
            return { outcome: 'answered' };
        } catch (error) {
            return { outcome: error.rpcErrorCode ?? error.message };
        }
    },
    async raw({ cp, text }) {
        clients.get(cp).sendRaw(text);
        return {};
    },
    async fragments({ cp, parts }) {
        const ws = clients.get(cp)._ws;
        note(ws, 'sent', parts.join(''));
        for (const [number, part] of parts.entries()) {
            ws.inFragments = true;
            ws.send(part, { fin: number === parts.length - 1 });
            ws.inFragments = false;
            await pause(FRAGMENT_PAUSE_MS);
            if (number < parts.length - 1) ws.ping(`between ${number + 1}`);
        }
        return {};
    },
    async ping({ cp, data }) {
        clients.get(cp)._ws.ping(data ?? '');
        return {};
    },
    async behave({ action, cp, ...how }) {
        behaviour.set(`${cp ?? ''}/${action}`, how);
        return {};
    },
    async close({ cp, code, reason }) {
        await clients.get(cp).close({ code: code ?? 1000, reason });
        return {};
    },
    async abort({ cp }) { // an RST: no close frame, no FIN
        clients.get(cp)._ws._socket.resetAndDestroy();
        return {};
    },
    async hangup({ cp }) { // a FIN without a close frame
        clients.get(cp)._ws.terminate();
        return {};
    },
};

async function listen() {
    const server = new RPCServer({
        protocols: options.protocols,
        strictMode: options.strict ?? false,
        callTimeoutMs: (options.timeout ?? 30) * 1000,
        pingIntervalMs: (options.ping ?? 0) * 1000,
        wssOptions: { perMessageDeflate: options.deflate ? { threshold: 0 } : false },
    });
    server.auth((accept, reject, handshake) => {
        const expected = options.passwords?.[handshake.identity];
        if (options.passwords && expected === undefined) return reject(404, 'Unknown station');
        if (expected !== undefined && handshake.password?.toString() !== expected) return reject(401, 'Wrong password');
        return accept();
    });
    server.on('client', client => {
        serveActions(client, client.protocol || options.protocols[0]);
        opened(client, client.identity);
    });
    await server.listen(options.port, options.host);
}

async function obey(line) {
    const { n, do: verb, ...args } = JSON.parse(line);
    let result;
    try {
        result = await commands[verb](args);
    } catch (error) {
        result = { failed: String(error) };
    }
    emit('done', { n, result });
}

async function main() {
    if (side === 'csms') await listen();
    readline.createInterface({ input: process.stdin }).on('line', obey).on('close', () => process.exit(0));
    emit('ready', {});
}

process.on('unhandledRejection', error => console.error('library:', error));
main();
