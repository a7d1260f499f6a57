use super::super::*;
pub(super) struct CodexWriter;
impl Writer for CodexWriter {
    fn command(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn plan(&self, _: &About, _: &Target) -> Result<Plan> {
        Err(Error::failed("x"))
    }
    fn write(&self, _: &Plan, _: &About, _: &Target, _: Conversation<'_>, _: &mut dyn Write) -> Result<Ledger> {
        Err(Error::failed("x"))
    }
    fn register(&self, _: &Plan, _: &About, _: &Target) -> Result<Option<String>> {
        Ok(None)
    }
    fn unregister(&self, _: &Plan, _: &Target) -> Result<()> {
        Ok(())
    }
    fn is_open(&self, _: &Home, _: &str) -> bool {
        false
    }
}
