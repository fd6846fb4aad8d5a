/* An echo in libwebsockets. Echoes piece by piece, as its own examples do: a message that came in
 * several reads goes back in as many fragments. usage: lws_echo PORT */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct piece {
  struct piece* next;
  size_t size;
  int flags;             /* of lws_write: opcode, continuation, final */
  unsigned char bytes[]; /* LWS_PRE of room, then the payload */
};

struct session {
  struct piece *first, **end; /* waiting to be written */
  size_t count;
};

enum { READ_BYTES = 64 << 10, PIECES_MAX = 1024 };

static int receive(struct lws* wsi, struct session* session, const void* in, size_t size) {
  struct piece* piece = malloc(sizeof *piece + LWS_PRE + size);
  if (!piece) return -1;
  piece->next = NULL;
  piece->size = size;
  piece->flags = lws_write_ws_flags(lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT,
                                    lws_is_first_fragment(wsi), lws_is_final_fragment(wsi));
  memcpy(piece->bytes + LWS_PRE, in, size);
  *session->end = piece;
  session->end = &piece->next;
  if (++session->count >= PIECES_MAX) lws_rx_flow_control(wsi, 0);
  lws_callback_on_writable(wsi);
  return 0;
}

/* As much as the socket takes now. */
static int write_pieces(struct lws* wsi, struct session* session) {
  while (session->first && !lws_send_pipe_choked(wsi)) {
    struct piece* piece = session->first;
    int sent =
        lws_write(wsi, piece->bytes + LWS_PRE, piece->size, (enum lws_write_protocol)piece->flags);
    if (sent < (int)piece->size) return -1;
    session->first = piece->next;
    if (!session->first) session->end = &session->first;
    free(piece);
    if (--session->count == PIECES_MAX / 2) lws_rx_flow_control(wsi, 1);
  }
  if (session->first) lws_callback_on_writable(wsi);
  return 0;
}

static int on_event(struct lws* wsi, enum lws_callback_reasons reason, void* user, void* in,
                    size_t size) {
  struct session* session = user;
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      session->first = NULL;
      session->end = &session->first;
      session->count = 0;
      return 0;
    case LWS_CALLBACK_RECEIVE: return receive(wsi, session, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE: return write_pieces(wsi, session);
    case LWS_CALLBACK_CLOSED:
      while (session->first) {
        struct piece* piece = session->first;
        session->first = piece->next;
        free(piece);
      }
      return 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, size);
  }
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  static const struct lws_protocols protocols[] = {
      {"echo", on_event, sizeof(struct session), READ_BYTES, 0, NULL, 0},
      {NULL, NULL, 0, 0, 0, NULL, 0},
  };
  struct lws_context_creation_info info;
  memset(&info, 0, sizeof info);
  info.port = atoi(argv[1]);
  info.iface = "lo";
  info.protocols = protocols;
  info.pt_serv_buf_size = READ_BYTES;
  info.options = LWS_SERVER_OPTION_VALIDATE_UTF8;
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context* context = lws_create_context(&info);
  if (!context) return 1;
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}
