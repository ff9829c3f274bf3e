"""Mails that come back: delivery status notifications (RFC 3464) and automatic answers (RFC 3834)."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime, make_msgid

_TEXT = {
    "5.1.1": "550 5.1.1 The mailbox does not exist",
    "5.2.2": "552 5.2.2 The mailbox is full",
}


def status_notification(verp: str, recipient: str, status: str, message_id: str, at: datetime) -> bytes:
    """A failure report for one recipient, addressed to the envelope sender (`verp`) of the mail.

    `status` is 5.1.1 (unknown mailbox) or 5.2.2 (mailbox full); `message_id` names the mail that failed.
    """
    boundary = "=_dsn"
    lines = (
        "Return-Path: <>",
        f"Delivered-To: {verp}",
        "From: Mail Delivery System <MAILER-DAEMON@post.example>",
        f"To: {verp}",
        "Subject: Undelivered Mail Returned to Sender",
        f"Date: {format_datetime(at)}",
        f"Message-ID: {make_msgid(domain='post.example')}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Your message could not be delivered. The reason is given below.",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.post.example",
        f"Arrival-Date: {format_datetime(at)}",
        "",
        f"Final-Recipient: rfc822; {recipient}",
        "Action: failed",
        f"Status: {status}",
        "Remote-MTA: dns; mailboxes.post.example",
        f"Diagnostic-Code: smtp; {_TEXT[status]}",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
        f"Message-ID: {message_id}",
        "",
        f"--{boundary}--",
        "",
    )
    return "\r\n".join(lines).encode()


def automatic_answer(verp: str, recipient: str, at: datetime) -> bytes:
    """An out-of-office answer, which is no bounce."""
    lines = (
        f"Return-Path: <{recipient}>",
        f"Delivered-To: {verp}",
        f"From: <{recipient}>",
        f"To: {verp}",
        "Subject: Automatic reply",
        f"Date: {format_datetime(at)}",
        f"Message-ID: {make_msgid(domain='post.example')}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "I am out of the office until Monday.",
        "",
    )
    return "\r\n".join(lines).encode()
