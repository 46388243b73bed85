/* A policy: who takes a lock names a ticket, and holds it for a quarter of an hour at most. */

#define IMPORT(name) __attribute__((import_module("octostore_v1"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("get") int get(const char *key, int key_len, char *buf, int cap);
IMPORT("deny") void deny(const char *reason, int reason_len);
IMPORT("cap") void cap(const char *key, int key_len, long long n);
IMPORT("note") void note(const char *key, int key_len, const char *value, int value_len);

#define TEXT(s) s, sizeof(s) - 1

enum { ALLOW = 0, DENY = 1 };

EXPORT("check") int check(void) {
    char ticket[64];
    int n = get(TEXT("metadata.ticket"), ticket, sizeof ticket);
    if (n <= 0) { /* -1: there is none */
        deny(TEXT("a ticket is needed: add meta.ticket=OPS-7"));
        return DENY;
    }
    if (n > (int)sizeof ticket) {
        deny(TEXT("a ticket has at most 64 bytes"));
        return DENY;
    }
    note(TEXT("ticket"), ticket, n);
    cap(TEXT("ttl_ms"), 15 * 60 * 1000);
    return ALLOW;
}
