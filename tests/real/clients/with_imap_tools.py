"""imap_tools in a role: with_imap_tools.py ROLE IMAP-PORT CA.

Each call says what must be answered; the caller compares the mail host before and after.
A line `deliver` asks the caller for a new message. imap_tools sends a plain EXPUNGE after
most of what it does.
"""

import ssl
import sys
import time

from imap_tools import AND, MailBox, MailMessageFlags
from imap_tools.errors import UnexpectedCommandStatusError

ROLE, PORT, CA = sys.argv[1], int(sys.argv[2]), sys.argv[3]
PERSON = {"reader": "carol", "responder": "bob", "manager": "alice"}[ROLE]
LOGIN, PASSWORD = f"{PERSON}@example.org/support@example.org", f"{PERSON}'s password"
TLS = ssl.create_default_context(cafile=CA)
DRAFT_TEXT = b"From: support@example.org\r\nSubject: draft %d\r\n\r\nhalf a sentence\r\n"


def refused(call):
    try:
        call()
    except UnexpectedCommandStatusError as error:
        assert ROLE in str(error), error
        return
    raise AssertionError("not refused")


def read(box, subject, mark):
    [message] = box.fetch(AND(subject=subject), mark_seen=mark)
    return message


def new_message(box):
    """A message comes in, and IDLE tells."""
    box.folder.set("INBOX", readonly=True)
    deadline = time.monotonic() + 30
    with box.idle as idle:
        print("deliver", flush=True)
        while not any(b"EXISTS" in line for line in idle.poll(timeout=1)):
            assert time.monotonic() < deadline


def reader(box):
    # \Seen is this reader's own, and the only flag that can be set.
    assert read(box, "question 1", mark=True).from_ == "customer1@example.net"
    box.flag("1", [MailMessageFlags.FLAGGED], True)
    box.delete(["1"])
    assert set(read(box, "question 1", mark=False).flags) - {MailMessageFlags.RECENT} == {MailMessageFlags.SEEN}
    refused(lambda: box.copy("1", "Archive"))
    refused(lambda: box.move("1", "Trash"))
    refused(lambda: box.append(DRAFT_TEXT % 1, "Drafts", flag_set=[MailMessageFlags.DRAFT]))
    refused(lambda: box.folder.create("Mine"))


def responder(box):
    assert "How do I do 1?" in read(box, "question 1", mark=True).text
    box.flag("2", MailMessageFlags.FLAGGED, True)
    box.delete("3")
    refused(lambda: box.copy("1", "Archive"))
    refused(lambda: box.move("1", "Trash"))
    refused(lambda: box.folder.create("Mine"))
    # A draft is saved, saved again, and again.
    for version in range(3):
        box.append(DRAFT_TEXT % version, "Drafts", flag_set=[MailMessageFlags.DRAFT])
        box.folder.set("Drafts")
        if version > 0:
            box.delete(read(box, f"draft {version - 1}", mark=False).uid)
        [own] = box.fetch(AND(subject="draft"), mark_seen=False)
        assert own.subject == f"draft {version}"


def manager(box):
    read(box, "question 1", mark=True)
    box.copy("1", "Archive")
    box.move("2", "Trash")
    box.delete("3")
    # The EXPUNGE behind each takes a colleague's marked message 4 along: that is what it means.
    assert box.uids() == ["1", "5"], box.uids()


with MailBox("localhost", port=PORT, ssl_context=TLS).login(LOGIN, PASSWORD) as box:
    names = {folder.name for folder in box.folder.list()}
    assert names == {"INBOX", "Archive", "Drafts", "Junk", "Projects", "Sent", "Trash"}, names
    {"reader": reader, "responder": responder, "manager": manager}[ROLE](box)
    new_message(box)
