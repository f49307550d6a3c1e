//! stub
pub mod cli;
pub mod http {
    use midjourney_core::gateway::Gateway;
    #[derive(Debug)]
    pub struct HttpOptions;
    impl HttpOptions {
        pub fn new(_: serde_json::Value) -> Self {
            Self
        }
    }
    pub fn router(_: Gateway, _: HttpOptions) -> axum::Router {
        axum::Router::new()
    }
    pub async fn serve(
        _: tokio::net::TcpListener,
        _: axum::Router,
        _: impl Future<Output = ()>,
        _: std::time::Duration,
    ) -> std::io::Result<()> {
        Ok(())
    }
}
