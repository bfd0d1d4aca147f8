"""Alice's part of the team's day: manager.py IMAP-PORT SMTP-PORT CA, by imaplib and smtplib."""

import imaplib
import smtplib
import ssl
import sys
from email.message import EmailMessage

IMAP, SMTP, CA = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
LOGIN, PASSWORD = "alice@example.org/support@example.org", "alice's password"
TLS = ssl.create_default_context(cafile=CA)


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


imap = imaplib.IMAP4_SSL("localhost", IMAP, ssl_context=TLS)
imap.login(LOGIN, PASSWORD)
ok(imap.select("INBOX"))
# Bob's answers are on view, before anything is answered twice.
assert ok(imap.uid("SEARCH", "ANSWERED")) == [b"1 2"]
ok(imap.uid("FETCH", "3", "(BODY[])"))

answer = EmailMessage()
answer["From"], answer["To"], answer["Subject"] = "alice@example.org", "customer3@example.net", "Re: question 3"
answer["In-Reply-To"] = "<q3@example.net>"
answer.set_content("Like this.\n")
with smtplib.SMTP_SSL("localhost", SMTP, context=TLS) as smtp:
    smtp.login(LOGIN, PASSWORD)
    smtp.send_message(answer)

ok(imap.uid("MOVE", "1", "Archive"))
ok(imap.uid("MOVE", "4", "Trash"))
imap.logout()
