"""IMAPClient in a role: with_imapclient.py ROLE IMAP-PORT CA.

Each call says what must be answered; the caller compares the mail host before and after.
A line `deliver` asks the caller for a new message.
"""

import ssl
import sys
import time

from imapclient import DELETED, DRAFT, FLAGGED, RECENT, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError

ROLE, PORT, CA = sys.argv[1], int(sys.argv[2]), sys.argv[3]
PERSON = {"reader": "carol", "responder": "bob", "manager": "alice"}[ROLE]
DRAFT_TEXT = b"From: support@example.org\r\nSubject: draft %d\r\n\r\nhalf a sentence\r\n"


def flags(answer):
    """Without \\Recent, which tells of sessions."""
    return {uid: set(of) - {RECENT} for uid, of in answer.items()}


def refused(call, words):
    try:
        call()
    except IMAPClientError as error:
        assert words in str(error), error
        return
    raise AssertionError(f"not refused: {words}")


def new_message(imap):
    """A message comes in, and IDLE tells."""
    imap.select_folder("INBOX", readonly=True)
    imap.idle()
    print("deliver", flush=True)
    deadline, told = time.monotonic() + 30, []
    while not any(line[-1] == b"EXISTS" for line in told):
        assert time.monotonic() < deadline, told
        told += imap.idle_check(timeout=1)
    imap.idle_done()


def reader(imap):
    # \Seen is this reader's own, and the only flag that can be set.
    assert imap.select_folder("INBOX")[b"PERMANENTFLAGS"] == (SEEN,)
    imap.fetch([1], ["BODY[]"])
    assert flags(imap.add_flags([2], [SEEN, FLAGGED])) == {2: {SEEN}}
    imap.delete_messages([1])
    imap.expunge()
    assert flags(imap.get_flags([1])) == {1: {SEEN}}
    refused(lambda: imap.copy([1], "Archive"), "reader")
    refused(lambda: imap.move([1], "Trash"), "reader")
    refused(lambda: imap.append("Drafts", DRAFT_TEXT % 1, [DRAFT]), "reader")
    refused(lambda: imap.create_folder("Mine"), "reader")


def responder(imap):
    imap.select_folder("INBOX")
    imap.fetch([1], ["BODY[]"])
    assert flags(imap.add_flags([2], [FLAGGED])) == {2: {FLAGGED}}
    assert flags(imap.add_flags([3], [DELETED])) == {3: set()}
    imap.expunge()
    refused(lambda: imap.copy([1], "Archive"), "responder")
    refused(lambda: imap.move([1], "Trash"), "responder")
    refused(lambda: imap.create_folder("Mine"), "responder")
    # A draft is saved, saved again, and again.
    for version in range(3):
        imap.append("Drafts", DRAFT_TEXT % version, [DRAFT])
        imap.select_folder("Drafts")
        [own] = imap.search(["SUBJECT", f"draft {version}"])
        if version > 0:
            [old] = imap.search(["SUBJECT", f"draft {version - 1}"])
            imap.delete_messages([old])
            imap.expunge([old])
            assert imap.search(["SUBJECT", "draft"]) == [own]


def manager(imap):
    imap.select_folder("INBOX")
    imap.fetch([1], ["BODY[]"])
    imap.copy([1], "Archive")
    imap.move([2], "Trash")
    imap.delete_messages([3])
    imap.expunge([3])
    assert imap.search() == [1, 4, 5]


with IMAPClient("localhost", port=PORT, ssl_context=ssl.create_default_context(cafile=CA)) as imap:
    imap.login(f"{PERSON}@example.org/support@example.org", f"{PERSON}'s password")
    names = {name for _, _, name in imap.list_folders()}
    assert names == {"INBOX", "Archive", "Drafts", "Junk", "Projects", "Sent", "Trash"}, names
    assert imap.find_special_folder(b"\\Drafts") == "Drafts"
    imap.select_folder("INBOX", readonly=True)
    assert imap.search(["SUBJECT", "question 2"]) == [2]
    assert imap.fetch([3], ["ENVELOPE"])[3][b"ENVELOPE"].subject == b"question 3"
    {"reader": reader, "responder": responder, "manager": manager}[ROLE](imap)
    new_message(imap)
