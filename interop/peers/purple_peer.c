/* A real client, libpurple (the engine of Finch and Pidgin), that a test drives with lines of text.
 *
 *   purple_peer DIR PROTOCOL USER PASSWORD [setting=value]...
 *
 * PROTOCOL is prpl-jabber or prpl-simple. A value that is a number or true/false is set as such.
 * Commands arrive on standard input, events leave on standard output, one a line:
 *
 *   send TO TEXT        online            message FROM TEXT
 *   add WHO             offline           presence FROM STATUS [TEXT]
 *   approve WHO         failed REASON     ask WHO
 *   deny WHO            error WHO TEXT
 *   show STATUS [TEXT]
 *   quit
 */
#include <glib.h>
#include <purple.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GMainLoop *loop;
static PurpleAccount *account;

static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *line = g_strdup_vprintf(format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    puts(line);
    fflush(stdout);
    g_free(line);
}

/* A name without resource and without scheme. The string is libpurple's and lives until the next call. */
static const char *bare(const char *who) {
    const char *name = purple_normalize(account, who);
    return g_str_has_prefix(name, "sip:") ? name + 4 : name;
}

/* ---- libpurple's event loop on glib ---- */

typedef struct {
    PurpleInputFunction function;
    gpointer data;
} Closure;

static gboolean io_ready(GIOChannel *source, GIOCondition condition, gpointer data) {
    Closure *closure = data;
    PurpleInputCondition ready = 0;
    if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) ready |= PURPLE_INPUT_READ;
    if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL)) ready |= PURPLE_INPUT_WRITE;
    closure->function(closure->data, g_io_channel_unix_get_fd(source), ready);
    return TRUE;
}

static guint io_add(gint fd, PurpleInputCondition condition, PurpleInputFunction function, gpointer data) {
    Closure *closure = g_new0(Closure, 1);
    closure->function = function;
    closure->data = data;
    GIOCondition wanted = 0;
    if (condition & PURPLE_INPUT_READ) wanted |= G_IO_IN | G_IO_HUP | G_IO_ERR;
    if (condition & PURPLE_INPUT_WRITE) wanted |= G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL;
    GIOChannel *channel = g_io_channel_unix_new(fd);
    guint id = g_io_add_watch_full(channel, G_PRIORITY_DEFAULT, wanted, io_ready, closure, g_free);
    g_io_channel_unref(channel);
    return id;
}

static PurpleEventLoopUiOps loop_ops = {
    .timeout_add = g_timeout_add,
    .timeout_remove = g_source_remove,
    .input_add = io_add,
    .input_remove = g_source_remove,
    .timeout_add_seconds = g_timeout_add_seconds,
};

/* ---- what the user would see ---- */

static void disconnected(PurpleConnection *gc, PurpleConnectionError reason, const char *text) {
    (void)gc;
    say("failed %s %s", reason == PURPLE_CONNECTION_ERROR_AUTHENTICATION_FAILED ? "auth" : "connection", text);
}

static PurpleConnectionUiOps connection_ops = {.report_disconnect_reason = disconnected};

typedef struct {
    char *who;
    PurpleAccountRequestAuthorizationCb approve, deny;
    void *data;
} Request;

static GList *requests;

static void *asked(PurpleAccount *a, const char *who, const char *id, const char *alias, const char *message,
                   gboolean on_list, PurpleAccountRequestAuthorizationCb approve,
                   PurpleAccountRequestAuthorizationCb deny, void *data) {
    (void)a, (void)id, (void)alias, (void)message, (void)on_list;
    Request *request = g_new0(Request, 1);
    *request = (Request){g_strdup(who), approve, deny, data};
    requests = g_list_append(requests, request);
    say("ask %s", bare(who));
    return request;
}

static void forget(void *handle) { requests = g_list_remove(requests, handle); }

static PurpleAccountUiOps account_ops = {.request_authorize = asked, .close_account_request = forget};

/* Errors about one message are written into its conversation; texts come by the signal below. */
static void written(PurpleConversation *conv, const char *name, const char *alias, const char *text,
                    PurpleMessageFlags flags, time_t when) {
    (void)name, (void)alias, (void)when;
    if (flags & PURPLE_MESSAGE_ERROR) say("error %s %s", bare(purple_conversation_get_name(conv)), text);
}

static PurpleConversationUiOps conversation_ops = {.write_conv = written};

static void *notified(PurpleNotifyMsgType type, const char *title, const char *primary, const char *secondary) {
    (void)type, (void)title;
    say("notice %s %s", primary ? primary : "", secondary ? secondary : "");
    return NULL;
}

static PurpleNotifyUiOps notify_ops = {.notify_message = notified};

static void received(PurpleAccount *a, char *who, char *text, PurpleConversation *conv, PurpleMessageFlags flags) {
    (void)a, (void)conv, (void)flags;
    char *plain = purple_markup_strip_html(text);
    say("message %s %s", bare(who), plain);
    g_free(plain);
}

static void typing(PurpleAccount *a, const char *who) {
    (void)a;
    say("typing %s", bare(who));
}

static void tell(PurpleBuddy *buddy) {
    PurplePresence *presence = purple_buddy_get_presence(buddy);
    PurpleStatus *status = purple_presence_get_active_status(presence);
    const char *text = purple_status_get_attr_string(status, "message");
    say("presence %s %s %s", bare(purple_buddy_get_name(buddy)), purple_status_get_id(status), text ? text : "");
}

static void changed(PurpleBuddy *buddy, PurpleStatus *old, PurpleStatus *new) {
    (void)old, (void)new;
    tell(buddy);
}

static void signed_on(PurpleConnection *gc) { say("online %s", purple_account_get_username(gc->account)); }
static void signed_off(PurpleConnection *gc) { say("offline %s", purple_account_get_username(gc->account)); }

/* ---- commands ---- */

static void answer(const char *who, gboolean yes) {
    for (GList *item = requests; item; item = item->next) {
        Request *request = item->data;
        if (strcmp(bare(request->who), who)) continue;
        requests = g_list_remove(requests, request);
        (yes ? request->approve : request->deny)(request->data);
        return;
    }
    say("error %s nobody asked", who);
}

static void send(const char *who, const char *text) {
    PurpleConversation *conv = purple_find_conversation_with_account(PURPLE_CONV_TYPE_IM, who, account);
    if (!conv) conv = purple_conversation_new(PURPLE_CONV_TYPE_IM, account, who);
    char *escaped = g_markup_escape_text(text, -1);
    purple_conv_im_send(PURPLE_CONV_IM(conv), escaped);
    g_free(escaped);
}

static gboolean command(GIOChannel *source, GIOCondition condition, gpointer data) {
    (void)condition, (void)data;
    char *line = NULL;
    gsize end = 0;
    if (g_io_channel_read_line(source, &line, NULL, &end, NULL) != G_IO_STATUS_NORMAL) {
        g_main_loop_quit(loop);
        return FALSE;
    }
    line[end] = 0;
    char **words = g_strsplit(line, " ", 3);
    const char *verb = words[0] ? words[0] : "";
    const char *who = verb[0] && words[1] ? words[1] : "";
    const char *text = who[0] && words[2] ? words[2] : "";
    if (!strcmp(verb, "send")) {
        send(who, text);
    } else if (!strcmp(verb, "add")) {
        PurpleBuddy *buddy = purple_buddy_new(account, who, NULL);
        purple_blist_add_buddy(buddy, NULL, NULL, NULL);
        purple_account_add_buddy(account, buddy);
    } else if (!strcmp(verb, "approve")) {
        answer(who, TRUE);
    } else if (!strcmp(verb, "deny")) {
        answer(who, FALSE);
    } else if (!strcmp(verb, "show")) {
        if (text[0])
            purple_account_set_status(account, who, TRUE, "message", text, NULL);
        else
            purple_account_set_status(account, who, TRUE, NULL);
    } else if (!strcmp(verb, "quit")) {
        purple_account_set_enabled(account, "rialto-interop", FALSE);
        g_main_loop_quit(loop);
    } else {
        say("error command %s", verb);
    }
    g_strfreev(words);
    g_free(line);
    return TRUE;
}

static void configure(const char *setting) {
    char **pair = g_strsplit(setting, "=", 2);
    if (!strcmp(pair[1], "true") || !strcmp(pair[1], "false"))
        purple_account_set_bool(account, pair[0], pair[1][0] == 't');
    else if (pair[1][0] && strspn(pair[1], "0123456789") == strlen(pair[1]))
        purple_account_set_int(account, pair[0], atoi(pair[1]));
    else
        purple_account_set_string(account, pair[0], pair[1]);
    g_strfreev(pair);
}

static void to_stderr(PurpleDebugLevel level, const char *category, const char *text) {
    (void)level;
    fprintf(stderr, "%s: %s", category, text);
}

static PurpleDebugUiOps debug_ops = {.print = to_stderr};

int main(int argc, char **argv) {
    static int handle;
    if (argc < 5) return 2;
    signal(SIGPIPE, SIG_IGN);
    loop = g_main_loop_new(NULL, FALSE);
    purple_util_set_user_dir(argv[1]);
    purple_debug_set_ui_ops(&debug_ops);
    purple_eventloop_set_ui_ops(&loop_ops);
    purple_connections_set_ui_ops(&connection_ops);
    purple_accounts_set_ui_ops(&account_ops);
    purple_conversations_set_ui_ops(&conversation_ops);
    purple_notify_set_ui_ops(&notify_ops);
    if (!purple_core_init("rialto-interop")) return 3;
    purple_set_blist(purple_blist_new());
    purple_blist_load();
    purple_prefs_load();

    void *connections = purple_connections_get_handle(), *conversations = purple_conversations_get_handle();
    void *buddies = purple_blist_get_handle();
    purple_signal_connect(connections, "signed-on", &handle, PURPLE_CALLBACK(signed_on), NULL);
    purple_signal_connect(connections, "signed-off", &handle, PURPLE_CALLBACK(signed_off), NULL);
    purple_signal_connect(conversations, "received-im-msg", &handle, PURPLE_CALLBACK(received), NULL);
    purple_signal_connect(conversations, "buddy-typing", &handle, PURPLE_CALLBACK(typing), NULL);
    purple_signal_connect(buddies, "buddy-signed-on", &handle, PURPLE_CALLBACK(tell), NULL);
    purple_signal_connect(buddies, "buddy-signed-off", &handle, PURPLE_CALLBACK(tell), NULL);
    purple_signal_connect(buddies, "buddy-status-changed", &handle, PURPLE_CALLBACK(changed), NULL);

    account = purple_account_new(argv[3], argv[2]);
    purple_account_set_password(account, argv[4]);
    for (int i = 5; i < argc; i++) configure(argv[i]);
    purple_accounts_add(account);
    purple_account_set_enabled(account, "rialto-interop", TRUE);
    purple_savedstatus_activate(purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE));

    GIOChannel *input = g_io_channel_unix_new(0);
    g_io_add_watch(input, G_IO_IN | G_IO_HUP, command, NULL);
    g_main_loop_run(loop);
    purple_core_quit();
    return 0;
}
