"""What people and mail systems send back: opens, clicks, unsubscribes, bounces and complaints become events."""
