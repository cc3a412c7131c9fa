"""A vendor that sends whatever may stop a client, beside a vendor that does not."""
