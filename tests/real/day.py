"""A working day through Python's imaplib and smtplib: day.py ROLE IMAP-PORT SMTP-PORT CA.

Each call says what must be answered; the caller compares the mail host before and after.
"""

import imaplib
import re
import smtplib
import ssl
import sys
from email.message import EmailMessage

ROLE, IMAP, SMTP, CA = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
PERSON = {"reader": "carol", "responder": "bob", "manager": "alice"}[ROLE]
LOGIN, PASSWORD = f"{PERSON}@example.org/support@example.org", f"{PERSON}'s password"
TLS = ssl.create_default_context(cafile=CA)
FOLDERS = ["INBOX", "Archive", "Drafts", "Junk", "Projects", "Sent", "Trash"]


def message(subject, sender="support@example.org", **headers):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "customer@example.net", subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@{PERSON}.example.org>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(f"{subject}\n\n.a line with a dot\na1 CREATE smug\n")
    return mail


def octets(mail):
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Session(imaplib.IMAP4_SSL):
    def __init__(self):
        super().__init__("localhost", IMAP, ssl_context=TLS)
        self.login(LOGIN, PASSWORD)

    def opened(self, folder, read_only):
        """SELECT, whatever imaplib thinks of [READ-ONLY], which must be told truly."""
        self.untagged_responses = {}
        answer, data = self._simple_command("SELECT", folder)
        assert answer == "OK", data
        self.state, self.is_readonly = "SELECTED", True
        said = "READ-ONLY" in self.untagged_responses
        assert said == read_only, (folder, self.untagged_responses)
        return self.untagged_responses["PERMANENTFLAGS"][0].decode()

    def flags(self, uid):
        data = self.ok(self.uid("FETCH", uid, "(FLAGS)"))
        return set(re.search(rb"FLAGS \(([^)]*)\)", data[0])[1].decode().split()) - {"\\Recent"}

    def ok(self, answer):
        assert answer[0] == "OK", answer
        return answer[1]

    def refused(self, answer, code=b"[NOPERM]"):
        assert answer[0] == "NO" and answer[1][0].startswith(code), answer

    def reverted(self, uid, action, flags):
        """A STORE that nothing comes of is answered OK, with the flags as they are."""
        before = self.flags(uid)
        data = self.ok(self.uid("STORE", uid, action, flags))
        assert any(f"UID {uid}".encode() in line and b"FLAGS" in line for line in data if line), (action, flags, data)
        assert self.flags(uid) == before, (before, self.flags(uid))

    def appended(self, folder, flags, mail):
        data = self.ok(self.append(folder, flags, None, octets(mail)))
        return re.search(rb"APPENDUID \d+ (\d+)", data[0])[1].decode()


def everybody(imap):
    assert "IMAP4REV1" in imap.capabilities, imap.capabilities
    names = {line.decode().rsplit(" ", 1)[1].strip('"') for line in imap.ok(imap.list())}
    assert names == set(FOLDERS), names
    subscribed = {line.decode().rsplit(" ", 1)[1].strip('"') for line in imap.ok(imap.lsub())}
    assert subscribed == set(FOLDERS), subscribed
    for folder in FOLDERS:
        imap.ok(imap.status(folder, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))
        imap.ok(imap.select(folder, readonly=True))
        assert imap.ok(imap.uid("SEARCH", "ALL")) != [None]
    imap.ok(imap.select("INBOX", readonly=True))
    assert imap.ok(imap.uid("SEARCH", "SUBJECT", '"question 2"')) == [b"2"]
    assert imap.ok(imap.uid("FETCH", "1:3", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] ENVELOPE BODYSTRUCTURE)"))
    data = imap.ok(imap.uid("FETCH", "3", "(BODY[])"))
    assert data[0][1].endswith(b"a1 CREATE smug\r\nHow do I do 3?\r\n"), data
    imap.ok(imap.unsubscribe("Junk"))
    imap.ok(imap.subscribe("Junk"))
    imap.refused(imap.setacl("INBOX", PERSON, "lrswipkxtea"))
    imap.refused(imap.deleteacl("INBOX", PERSON))
    imap.refused(imap.status("Nothing", "(MESSAGES)"), b"")


def reader():
    imap = Session()
    everybody(imap)
    for folder in FOLDERS:
        assert imap.opened(folder, read_only=False) == "(\\Seen)"
    imap.opened("INBOX", read_only=False)
    assert imap.untagged_responses["UNSEEN"] == [b"1"], imap.untagged_responses
    for items in ["(RFC822)", "(BODY[])", "(BODY[TEXT]<0.4>)", "(RFC822.TEXT)"]:
        imap.ok(imap.uid("FETCH", "1:5", items))
    for action in ["+FLAGS", "-FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT"]:
        for flags in ["(\\Deleted)", "(\\Flagged \\Answered)", "($label1)"]:
            imap.reverted("1", action, flags)
            imap.reverted("5", action, flags)
    # What was read, this reader has read; nobody else sees it.
    imap.ok(imap.uid("STORE", "1:5", "FLAGS", "(\\Seen)"))
    assert imap.ok(imap.uid("SEARCH", "UNSEEN")) == [b""]
    imap.ok(imap.uid("STORE", "2", "-FLAGS.SILENT", "(\\Seen)"))
    assert imap.ok(imap.uid("SEARCH", "UNSEEN")) == [b"2"]
    assert "\\Seen" in imap.flags("1") and "\\Seen" not in imap.flags("2")
    imap.ok(imap.store("1:*", "+FLAGS", "(\\Deleted)"))
    imap.ok(imap.expunge())
    imap.ok(imap.uid("EXPUNGE", "1:*"))
    imap.refused(imap.copy("1", "Archive"))
    imap.refused(imap.uid("MOVE", "1", "Trash"))
    imap.refused(imap.uid("MOVE", "1:*", "Archive"))
    imap.refused(imap.uid("COPY", "1:*", "Drafts"))
    imap.ok(imap.close())
    for folder in FOLDERS:
        imap.refused(imap.append(folder, "\\Seen", None, octets(message("a reader's"))))
        if folder == "Junk":
            # Empty: there is no message 1 to name.
            continue
        imap.refused(imap.rename(folder, "Elsewhere"))
        imap.refused(imap.delete(folder))
        imap.opened(folder, read_only=False)
        imap.ok(imap.store("1:*", "+FLAGS", "(\\Deleted)"))
        imap.ok(imap.expunge())
        imap.ok(imap.close())
    imap.refused(imap.create("Mine"))
    imap.logout()

    smtp = smtplib.SMTP_SSL("localhost", SMTP, context=TLS)
    smtp.login(LOGIN, PASSWORD)
    for sender in ["support@example.org", "carol@example.org"]:
        code, text = smtp.mail(sender)
        assert code == 550 and b"reader" in text, (code, text)
        smtp.rset()
    smtp.quit()


def responder():
    imap = Session()
    everybody(imap)
    permanent = imap.opened("INBOX", read_only=False)
    assert "\\Deleted" not in permanent and "\\*" in permanent, permanent
    # Reads, which marks as read; flags; is asked, and answers.
    imap.ok(imap.uid("FETCH", "1", "(RFC822)"))
    imap.ok(imap.uid("STORE", "2", "+FLAGS", "(\\Flagged $label1)"))
    imap.ok(imap.uid("STORE", "5", "FLAGS", "(\\Seen)"))
    assert imap.flags("5") == {"\\Seen"}
    reply = message("answer 1", sender="Bob <bob@example.org>", In_Reply_To="<q1@example.net>")
    smtp = smtplib.SMTP_SSL("localhost", SMTP, context=TLS)
    smtp.login(LOGIN, PASSWORD)
    smtp.send_message(reply, from_addr="bob@example.org")
    code, text = smtp.mail("ceo@example.org")
    assert code == 550, (code, text)
    smtp.quit()
    imap.ok(imap.uid("STORE", "1", "+FLAGS", "(\\Answered)"))
    assert imap.appended("Sent", "\\Seen", reply) == "2"
    # What a responder may not.
    imap.reverted("3", "+FLAGS", "(\\Deleted)")
    imap.reverted("4", "-FLAGS", "(\\Deleted)")
    data = imap.ok(imap.uid("STORE", "3", "+FLAGS", "(\\Seen \\Deleted)"))
    assert imap.flags("3") == {"\\Seen"}, data
    imap.ok(imap.uid("STORE", "4", "FLAGS", "(\\Seen)"))
    assert imap.flags("4") == {"\\Seen", "\\Deleted"}
    imap.ok(imap.expunge())
    imap.ok(imap.uid("EXPUNGE", "1:*"))
    for target in ["Trash", "Archive", "Junk", "Projects", "Drafts", "Sent"]:
        imap.refused(imap.uid("MOVE", "3", target))
    for target in ["Trash", "Archive", "Junk", "Projects"]:
        imap.refused(imap.uid("COPY", "3", target))
        imap.refused(imap.append(target, "", None, octets(message("not here"))))
    imap.ok(imap.close())
    imap.refused(imap.create("Mine"))
    imap.refused(imap.delete("Projects"))
    imap.refused(imap.rename("Projects", "Mine"))
    for folder in ["Sent", "Trash", "Archive", "Projects"]:
        imap.opened(folder, read_only=False)
        imap.ok(imap.store("1:*", "+FLAGS", "(\\Deleted)"))
        imap.ok(imap.expunge())
        imap.ok(imap.close())
    # Drafts: a first version, a second instead of it, and one that is thrown away.
    first = imap.appended("Drafts", "\\Draft", message("draft, first version"))
    imap.opened("Drafts", read_only=False)
    second = imap.appended("Drafts", "\\Draft", message("draft, second version"))
    imap.ok(imap.uid("STORE", first, "+FLAGS", "(\\Seen \\Deleted)"))
    assert imap.flags(first) >= {"\\Deleted"}
    imap.ok(imap.expunge())
    thrown = imap.appended("Drafts", "\\Draft", message("draft, thrown away"))
    imap.ok(imap.uid("STORE", thrown, "+FLAGS.SILENT", "(\\Deleted)"))
    imap.ok(imap.uid("EXPUNGE", "1:*"))
    # A colleague's draft stays, in a set with an own one too, and so does a marked one.
    imap.reverted("1", "+FLAGS", "(\\Deleted)")
    closed = imap.appended("Drafts", "\\Draft", message("draft, removed by CLOSE"))
    imap.ok(imap.uid("STORE", f"1:{closed}", "+FLAGS", "(\\Deleted)"))
    assert "\\Deleted" not in imap.flags("1")
    imap.ok(imap.uid("STORE", second, "-FLAGS", "(\\Deleted)"))
    imap.ok(imap.close())
    imap.opened("Drafts", read_only=False)
    assert imap.ok(imap.uid("SEARCH", "ALL")) == [f"1 2 {second}".encode()]
    imap.logout()


def manager():
    imap = Session()
    everybody(imap)
    assert "\\Deleted" in imap.opened("INBOX", read_only=False)
    imap.ok(imap.uid("STORE", "1", "+FLAGS", "(\\Seen \\Flagged)"))
    imap.ok(imap.uid("COPY", "1", "Archive"))
    imap.ok(imap.uid("MOVE", "2", "Trash"))
    imap.ok(imap.store("2", "+FLAGS", "(\\Deleted)"))  # by number: 3 by UID, since 2 has left
    # Takes a colleague's \Deleted message 4 along: that is what EXPUNGE means.
    imap.ok(imap.expunge())
    imap.ok(imap.create("Clients"))
    imap.ok(imap.create("Clients/2026"))
    imap.ok(imap.uid("COPY", "5", "Clients/2026"))
    imap.ok(imap.rename("Clients/2026", "Clients/2027"))
    imap.ok(imap.create("Passing"))
    # Dovecot 2.3 leaves this one out of LIST after the RENAME; here it is all the same.
    assert any(b"Passing" in line for line in imap.ok(imap.list()))
    imap.ok(imap.delete("Passing"))
    for pinned in ["INBOX", "Drafts", "Sent", "Trash", "Junk"]:
        imap.refused(imap.delete(pinned), b"")
        imap.refused(imap.rename(pinned, "Elsewhere"), b"")
    imap.opened("Trash", read_only=False)
    imap.ok(imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)"))
    imap.ok(imap.uid("EXPUNGE", "1"))
    imap.ok(imap.close())
    imap.opened("Drafts", read_only=False)
    imap.ok(imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)"))
    imap.ok(imap.uid("EXPUNGE", "1"))
    imap.ok(imap.unselect())
    smtp = smtplib.SMTP_SSL("localhost", SMTP, context=TLS)
    smtp.login(LOGIN, PASSWORD)
    smtp.send_message(message("from the manager"))
    smtp.quit()
    imap.logout()


{"reader": reader, "responder": responder, "manager": manager}[ROLE]()
