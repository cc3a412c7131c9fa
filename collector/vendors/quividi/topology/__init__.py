"""What an account of VidiCenter has at present: its places, their boxes and zones, tags and contents."""
