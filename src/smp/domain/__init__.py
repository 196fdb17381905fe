"""The rules of subscriptions: pure, synchronous, standard library only; time and ids are arguments."""
