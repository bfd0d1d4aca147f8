// ImapFlow in a role: with_imapflow.mjs ROLE IMAP-PORT CA.
//
// Each call says what must be answered; the caller compares the mail host before and after.
// A line `deliver` asks the caller for a new message.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { ImapFlow } = createRequire(`${process.env.CLIENTS}/node/`)("imapflow");

const [role, port, ca] = process.argv.slice(2);
const person = { reader: "carol", responder: "bob", manager: "alice" }[role];
const uid = { uid: true };
const draft = (version) => `From: support@example.org\r\nSubject: draft ${version}\r\n\r\nhalf a sentence\r\n`;
// Without \Recent, which tells of sessions.
const flags = async (number) =>
    [...(await imap.fetchOne(String(number), { flags: true }, uid)).flags].filter((flag) => flag !== "\\Recent");

const imap = new ImapFlow({
    host: "localhost",
    port: Number(port),
    secure: true,
    tls: { ca: readFileSync(ca) },
    auth: { user: `${person}@example.org/support@example.org`, pass: `${person}'s password` },
    logger: false,
});

// What is not allowed ends as `false`, without an exception.
const refused = async (promise) => assert.equal(await promise, false);

async function reader() {
    await imap.mailboxOpen("INBOX");
    // \Seen is this reader's own, and the only flag that can be set.
    assert.deepEqual([...imap.mailbox.permanentFlags], ["\\Seen"]);
    await imap.messageFlagsAdd("1", ["\\Seen", "\\Flagged"], uid);
    await imap.messageDelete("1", uid);
    assert.deepEqual(await flags(1), ["\\Seen"]);
    await refused(imap.messageCopy("1", "Archive", uid));
    await refused(imap.messageMove("1", "Trash", uid));
    await assert.rejects(imap.append("Drafts", draft(1), ["\\Draft"]));
    await assert.rejects(imap.mailboxCreate("Mine"));
}

async function responder() {
    await imap.mailboxOpen("INBOX");
    assert.equal(await imap.messageFlagsAdd("1", ["\\Seen"], uid), true);
    assert.equal(await imap.messageFlagsAdd("2", ["\\Flagged"], uid), true);
    await imap.messageDelete("3", uid);
    assert.deepEqual(await flags(3), []);
    await refused(imap.messageCopy("1", "Archive", uid));
    await refused(imap.messageMove("1", "Trash", uid));
    await assert.rejects(imap.mailboxCreate("Mine"));
    // A draft is saved, saved again, and again.
    let old;
    for (const version of [0, 1, 2]) {
        const saved = await imap.append("Drafts", draft(version), ["\\Draft"]);
        await imap.mailboxOpen("Drafts");
        if (old) assert.equal(await imap.messageDelete(String(old), uid), true);
        assert.deepEqual(await imap.search({ subject: "draft" }, uid), [saved.uid]);
        old = saved.uid;
    }
}

async function manager() {
    await imap.mailboxOpen("INBOX");
    assert.equal(await imap.messageFlagsAdd("1", ["\\Seen"], uid), true);
    assert.equal((await imap.messageCopy("1", "Archive", uid)).destination, "Archive");
    assert.equal((await imap.messageMove("2", "Trash", uid)).destination, "Trash");
    assert.equal(await imap.messageDelete("3", uid), true);
    assert.deepEqual(await imap.search({ all: true }, uid), [1, 4, 5]);
}

// A message comes in, and IDLE tells.
async function newMessage() {
    await imap.mailboxOpen("INBOX", { readOnly: true });
    const told = new Promise((resolve) => imap.once("exists", resolve));
    imap.idle();
    console.log("deliver");
    const { count, prevCount } = await told;
    assert.equal(count, prevCount + 1);
}

await imap.connect();
const names = (await imap.list()).map((folder) => folder.path).sort();
assert.deepEqual(names, ["Archive", "Drafts", "INBOX", "Junk", "Projects", "Sent", "Trash"]);
await imap.mailboxOpen("INBOX", { readOnly: true });
assert.deepEqual(await imap.search({ subject: "question 2" }, uid), [2]);
const { source } = await imap.fetchOne("3", { source: true }, uid);
assert.match(source.toString(), /How do I do 3\?/);
await { reader, responder, manager }[role]();
await newMessage();
await imap.logout();
